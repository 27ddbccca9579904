// A guest that sends whatever it likes, or takes nothing: the network lives on, within its memory.
// All that leaves it goes to a port of this test on the loopback address.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "machine/network/frame.h"
#include "network/testing/guest.h"
#include "network/testing/host.h"
#include "network/testing/stream.h"
#include "sandbox/sandbox.h"

namespace ringside::network {
namespace {

using namespace testing;

constexpr std::uint16_t kIpv6 = 0x86dd, kNcsi = 0x88f8;

class NetworkRobustness : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(guest_.greeting(), "");
    guest_.join();
  }
  void TearDown() override {
    guest_.leave();
    expect_a_good_end();
  }
  // It answers, behind all that it has said before.
  void expect_alive() { EXPECT_TRUE(guest_.resolve(ip("10.0.2.3"))); }

  Guest guest_{start_network()};
  const std::uint32_t host_ = ip("10.0.2.2");
};

Bytes filled(std::size_t size, unsigned seed) {
  std::minstd_rand random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(random() >> 8);
  return bytes;
}

TEST_F(NetworkRobustness, FramesOfAllSizes) {
  const Server server(SOCK_DGRAM);
  const Ipv4 header = guest_.header(IPPROTO_UDP, host_);
  for (std::size_t size = 0; size <= 70'000; size += size < 200 ? 1 : 509) {
    const Bytes content = filled(size, static_cast<unsigned>(size));
    for (const std::uint16_t type : {kIpv4, kArp, kIpv6, kNcsi}) {
      Bytes frame = ethernet(kEverybody, type, content);
      frame.resize(size);
      ASSERT_TRUE(guest_.send(frame)) << size;
    }
    const std::size_t rest = size > 65'507 ? 65'507 : size;
    ASSERT_TRUE(guest_.send_ip(udp(header, {40000, server.port}, Bytes(rest)))) << size;
    guest_.pass_over();
  }
  for (std::size_t size = machine::kMaxFrame - 8; size < machine::kMaxFrame + 8; ++size)
    ASSERT_TRUE(guest_.send(ethernet(kEverybody, kIpv4, Bytes(size)))) << size;
  expect_alive();
}

// Packets that are right but for a few bytes, with right checksums in IP's header or none.
class Mutations {
 public:
  Mutations(const Guest& guest, std::uint16_t port) : guest_(guest), port_(port) {}

  Bytes next() {
    const Ipv4 tcp_header = guest_.header(IPPROTO_TCP, kHost);
    const Ipv4 udp_header = guest_.header(IPPROTO_UDP, kHost);
    const Bytes text = filled(below(64), below(1000));
    switch (below(7)) {
      case 0:
        return mutated(tcp(
            tcp_header,
            {below(4) == 0 ? port_ : some_port(), port_, word(), word(), below(64), below(65536)},
            text));
      case 1:
        return mutated(udp(udp_header, {some_port(), port_}, text));
      case 2:
        return mutated(ipv4(guest_.header(IPPROTO_ICMP, kHost),
                            Writer().u16(0x0800).u16(0).u32(word()).add(text).bytes()));
      case 3:
        return inner(udp(udp_header, {some_port(), 69}, filled(below(600), below(1000))));
      case 4: {
        // The header of a request of DHCP, and anything as options.
        Writer request;
        request.u8(1).u8(1).u8(6).u8(0).u32(1).u32(0).zeros(16).add(kOwnMac).zeros(10);
        request.zeros(64 + 128).u32(0x63825363).add(filled(below(300), below(1000)));
        return inner(udp({IPPROTO_UDP, 0, 0xffffffff}, {68, 67}, request.bytes()));
      }
      case 5:
        return ipv6();
      default:
        return arp();
    }
  }

 private:
  static constexpr std::uint32_t kHost = 0x0a000202;

  unsigned below(unsigned end) { return static_cast<unsigned>(random_() % end); }
  std::uint32_t word() { return static_cast<std::uint32_t>(random_()); }
  std::uint16_t some_port() { return static_cast<std::uint16_t>(40'000 + below(50)); }

  void change(Bytes& bytes, std::size_t first) {
    for (unsigned count = below(4); count > 0 && bytes.size() > first; --count)
      bytes[first + below(static_cast<unsigned>(bytes.size() - first))] =
          static_cast<std::byte>(below(256));
    if (below(8) == 0) bytes.resize(below(static_cast<unsigned>(bytes.size()) + 1));
  }
  // Wherever the packet says that its ports are, they are ours.
  Bytes mutated(Bytes packet) {
    change(packet, 0);
    if (packet.size() < 20) return ethernet(kEverybody, kIpv4, packet);
    Writer again;
    again.add(packet);
    again.put_u16(16, kHost >> 16);
    again.put_u16(18, kHost & 0xffff);
    const std::size_t start = 4 * static_cast<std::size_t>(Reader(packet).u8(0) & 15);
    if (start >= 20 && start + 4 <= packet.size()) again.put_u16(start + 2, port_);
    if (start >= 20 && start <= packet.size() && below(8) != 0) {
      again.put_u16(10, 0);
      again.put_u16(10, checksum(std::span(again.bytes()).first(start)));
    }
    return ethernet(kEverybody, kIpv4, again.bytes());
  }
  // Only behind UDP's header: what is for the network itself does not leave it.
  Bytes inner(Bytes packet) {
    change(packet, 28);
    return ethernet(kEverybody, kIpv4, packet);
  }
  Bytes ipv6() {
    static constexpr unsigned kNext[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6, 0};
    Bytes payload = filled(below(120), below(1000));
    if (payload.size() >= 4) {
      payload[2] = static_cast<std::byte>(port_ >> 8);
      payload[3] = static_cast<std::byte>(port_);
    }
    Writer packet;
    packet.u32(0x60000000).u16(below(4) != 0 ? static_cast<unsigned>(payload.size()) : below(200));
    packet.u8(kNext[below(4)]).u8(below(4) != 0 ? 64 : below(256));
    packet.u32(0xfec00000).u32(0).u32(0).u32(0x15).u32(0xfec00000).u32(0).u32(0).u32(2);
    return ethernet(kEverybody, kIpv6, packet.add(payload).bytes());
  }
  Bytes arp() {
    Bytes packet = filled(below(40), below(1000));
    if (packet.size() > 7) packet[7] = static_cast<std::byte>(1 + below(2));
    return ethernet(kEverybody, kArp, packet);
  }

  const Guest& guest_;
  std::uint16_t port_;
  std::mt19937 random_{18};
};

TEST_F(NetworkRobustness, PacketsThatAreAlmostRight) {
  const Server server(SOCK_STREAM);
  Mutations mutations(guest_, server.port);
  const char* const more = ::getenv("RINGSIDE_NETWORK_MUTATIONS");
  const unsigned long count = more != nullptr ? std::stoul(more) : 20'000;
  for (unsigned long i = 0; i < count; ++i) {
    ASSERT_TRUE(guest_.send(mutations.next())) << i;
    guest_.pass_over();
  }
  expect_alive();
}

// Bytes, by /proc: of the process that is a child of this one.
std::size_t size_of_network() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream status(entry.path() / "status");
    std::string word, name;
    long parent = 0;
    std::size_t kib = 0;
    while (status >> word) {
      if (word == "Name:") status >> name;
      if (word == "PPid:") status >> parent;
      if (word == "VmSize:") status >> kib;
    }
    if (parent == ::getpid() && kib != 0) return kib << 10;
  }
  return 0;
}

class NetworkMemory : public NetworkRobustness {
 protected:
  void SetUp() override {
    if (!sandbox::why_none().empty()) GTEST_SKIP() << "a sanitizer has the memory's accounts";
    NetworkRobustness::SetUp();
    before_ = size_of_network();
    ASSERT_NE(before_, 0u);
  }
  std::size_t grown() const { return size_of_network() - before_; }

 private:
  std::size_t before_ = 0;
};

// Parts of packets whose other parts never come.
TEST_F(NetworkMemory, IsBoundedWithFragments) {
  for (unsigned i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(
        guest_.send(fragment(guest_.header(IPPROTO_UDP, host_), Bytes(64), 0, 64, More::Yes, i)));
  }
  const Server server(SOCK_STREAM);
  const Stream stream(guest_, host_, server.port, 40000);
  EXPECT_EQ(stream.end(), Stream::End::Open) << "whoever sends fragments has nothing else any more";
  EXPECT_LT(grown(), 64u << 20);
}

// Answers to somebody who is not there.
TEST_F(NetworkMemory, IsBoundedWithForgedSenders) {
  const std::uint16_t closed = free_port(SOCK_DGRAM);
  for (unsigned i = 0; i < 10'000; ++i) {
    const Ipv4 header{IPPROTO_TCP, ip("10.0.2.100") + i % 100, host_};
    ASSERT_TRUE(guest_.send_ip(
        tcp(header, {static_cast<std::uint16_t>(1024 + i), closed, i, 0, Tcp::kSyn}, {})));
  }
  EXPECT_LT(grown(), 600u << 20);
  expect_alive();
}

TEST_F(NetworkMemory, IsBoundedWithAGuestThatTakesNothing) {
  const Server server(SOCK_DGRAM);
  const Ipv4 header = guest_.header(IPPROTO_UDP, host_);
  guest_.send_ip(udp(header, {40000, server.port}, Bytes(1)));
  std::byte room[1];
  sockaddr_in from{};
  socklen_t size = sizeof from;
  auto* const generic = reinterpret_cast<sockaddr*>(&from);
  ASSERT_EQ(::recvfrom(server.socket.get(), room, sizeof room, 0, generic, &size), 1);
  const Bytes datagram(32'000);
  for (unsigned i = 0; i < 2'000; ++i) {
    ASSERT_EQ(::sendto(server.socket.get(), datagram.data(), datagram.size(), 0, generic, size),
              static_cast<ssize_t>(datagram.size()));
  }
  guest_.send_ip(tcp(guest_.header(IPPROTO_TCP, host_), {1, server.port, 1, 0, Tcp::kSyn}, {}));
  std::size_t bytes = 0;
  while (const auto frame = guest_.receive()) {
    const auto seen = see_ipv4(*frame);
    if (seen && seen->header.protocol == IPPROTO_TCP) break;
    bytes += frame->size();
  }
  EXPECT_LT(bytes, 8u << 20) << "of 64 MB that were sent";
  EXPECT_LT(grown(), 64u << 20);
  expect_alive();
}

TEST(NetworkEnd, ComesWhereTheOtherSideMakesNoSense) {
  for (const std::string& nonsense : {std::string("\xff\xff\xff\xff"), std::string("\x10\0\0", 3),
                                      std::string("\x10\0\0\0half", 8)}) {
    Guest guest(start_network());
    ASSERT_EQ(guest.greeting(), "");
    EXPECT_EQ(::send(guest.socket(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(nonsense.size()));
    if (nonsense[0] == '\xff') {
      EXPECT_FALSE(guest.receive()) << "it does not end by itself";
    }
    guest.leave();
    expect_a_good_end();
  }
}

}  // namespace
}  // namespace ringside::network
