// The name server of the guest's network is the one that this host asks: what the guest sends to it
// arrives at the address in /etc/resolv.conf, and the answer at the guest.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "base/testing/temporary_folder.h"
#include "network/testing/guest.h"
#include "network/testing/host.h"

namespace ringside::network {
namespace {

using namespace testing;

// Namespaces of mounts and of network, in which a name server has its port on the loopback address
// and /etc/resolv.conf names it. Both sockets go on to be there when the thread that has made them
// ends, and the network's process keeps its namespaces.
struct Place {
  std::string absent;  // why there is no such place
  Fd name_server, network;
};

bool bring_loopback_up(const Fd& socket) {
  ifreq request{};
  std::string("lo").copy(request.ifr_name, sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

void make(Place& place, const std::string& resolv_conf) {
  constexpr std::uint16_t kNameServerPort = 53;  // RFC 1035 4.2.1
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
    place.absent = "only root has namespaces of mounts and network of its own here";
    return;
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount(resolv_conf.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0) {
    place.absent = "nothing can be mounted at /etc/resolv.conf here";
    return;
  }
  place.name_server = patient(SOCK_DGRAM);
  ASSERT_TRUE(bring_loopback_up(place.name_server));
  const sockaddr_in address = loopback(kNameServerPort);
  ASSERT_EQ(
      ::bind(place.name_server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
      0);
  place.network = start_network();
}

Place make(const std::string& resolv_conf) {
  Place place;
  std::thread([&] { make(place, resolv_conf); }).join();
  return place;
}

TEST(NameServer, IsTheHosts) {
  const ringside::testing::TemporaryFolder scratch;
  const std::string resolv_conf = scratch / "resolv.conf";
  std::ofstream(resolv_conf) << "nameserver 127.0.0.1\n";
  Place place = make(resolv_conf);
  if (!place.absent.empty()) GTEST_SKIP() << place.absent;
  Guest guest(std::move(place.network));
  ASSERT_EQ(guest.greeting(), "");
  guest.join();

  // A question and its answer are the two programs' own: the network looks into neither.
  const std::string question = "what is ringside.example?", answer = "192.0.2.1";
  const Ipv4 header = guest.header(IPPROTO_UDP, ip("10.0.2.3"));
  guest.send_ip(udp(header, {40000, 53}, std::as_bytes(std::span(question))));
  char room[64];
  sockaddr_in from{};
  socklen_t size = sizeof from;
  auto* const generic = reinterpret_cast<sockaddr*>(&from);
  const ssize_t count = ::recvfrom(place.name_server.get(), room, sizeof room, 0, generic, &size);
  ASSERT_EQ(std::string(room, static_cast<std::size_t>(std::max<ssize_t>(count, 0))), question);
  ASSERT_EQ(::sendto(place.name_server.get(), answer.data(), answer.size(), 0, generic, size),
            static_cast<ssize_t>(answer.size()));
  const auto seen = guest.wait_for_protocol(IPPROTO_UDP);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->text(), answer);
  EXPECT_EQ(seen->header.from, ip("10.0.2.3"));
  EXPECT_EQ(seen->udp_ports().from, 53);
  EXPECT_EQ(seen->udp_ports().to, 40000);
  guest.leave();
  expect_a_good_end();
}

}  // namespace
}  // namespace ringside::network
