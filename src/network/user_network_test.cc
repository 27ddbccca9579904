// A guest of nothing but frames talks with sockets on the loopback address of this host.
#include "network/user_network.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "network/testing/guest.h"
#include "network/testing/host.h"
#include "network/testing/stream.h"

namespace ringside::network {
namespace {

using namespace testing;

class UserNetworkTest : public ::testing::Test {
 protected:
  // A guest that is on the network.
  void SetUp() override {
    ASSERT_EQ(guest_.greeting(), "");
    guest_.join();
  }
  void TearDown() override {
    guest_.leave();
    expect_a_good_end();
  }

  const std::uint16_t tcp_port_ = free_port(SOCK_STREAM), udp_port_ = free_port(SOCK_DGRAM);
  Guest guest_{start_network({{{Protocol::Tcp, "127.0.0.1", tcp_port_, 80},
                               {Protocol::Udp, "127.0.0.1", udp_port_, 53}}})};
  const std::uint32_t host_ = ip("10.0.2.2");
};

TEST_F(UserNetworkTest, GivesTheAddressesThatQemuGives) {
  const Guest::Lease lease = guest_.get_address();
  EXPECT_EQ(lease.address, ip("10.0.2.15"));
  EXPECT_EQ(lease.router, ip("10.0.2.2"));
  EXPECT_EQ(lease.name_server, ip("10.0.2.3"));
  EXPECT_EQ(lease.host_name, "ringside");
}

TEST_F(UserNetworkTest, GatewayAndNameServerAreNeighbours) {
  EXPECT_TRUE(guest_.resolve(ip("10.0.2.2")));
  EXPECT_TRUE(guest_.resolve(ip("10.0.2.3")));
}

TEST_F(UserNetworkTest, TheGatewayAnswersPings) {
  Writer echo;
  echo.u16(0x0800).u16(0).u16(0x1234).u16(1).text("are you there?");
  echo.put_u16(2, checksum(echo.bytes()));
  guest_.send_ip(ipv4(guest_.header(IPPROTO_ICMP, host_), echo.bytes()));
  const auto seen = guest_.wait_for_protocol(IPPROTO_ICMP);
  ASSERT_TRUE(seen);
  EXPECT_EQ(Reader(seen->payload).u8(0), 0u) << "no echo reply";
  EXPECT_EQ(seen->text(), "are you there?");
}

TEST_F(UserNetworkTest, AServerOfTheHostIsReachedAtTheGateway) {
  const Server server(SOCK_STREAM);
  Stream stream(guest_, host_, server.port, 40000);
  const Fd client = server.accept();
  ASSERT_TRUE(client);
  stream.send("GET /");
  EXPECT_EQ(hear(client), "GET /");
  EXPECT_TRUE(say(client, "content"));
  EXPECT_EQ(stream.receive(7), "content");
  stream.finish();
  EXPECT_EQ(hear(client), "") << "the guest's end of the stream";
  EXPECT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  EXPECT_EQ(stream.receive(), "");
  EXPECT_EQ(stream.end(), Stream::End::Finished);
}

// More than what any buffer between the two has room for.
TEST_F(UserNetworkTest, ALongTransferArrivesWhole) {
  const Server server(SOCK_STREAM);
  Stream stream(guest_, host_, server.port, 40001);
  const Fd client = server.accept();
  std::string text(3 << 20, '\0');
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>(i * 2654435761u >> 24);
  std::thread sender([&] { EXPECT_TRUE(say(client, text)); });
  EXPECT_TRUE(stream.receive(text.size()) == text);
  sender.join();
}

TEST_F(UserNetworkTest, AnEndIsToldWhereverItIs) {
  const Server server(SOCK_STREAM);
  Stream finished(guest_, host_, server.port, 40010);
  server.accept().reset();
  EXPECT_EQ(finished.receive(), "");
  EXPECT_EQ(finished.end(), Stream::End::Finished);
  Stream reset(guest_, host_, server.port, 40011);
  Fd client = server.accept();
  const linger at_once{1, 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  client.reset();
  EXPECT_EQ(reset.receive(), "");
  EXPECT_NE(reset.end(), Stream::End::Lost);
  const Stream left(guest_, host_, server.port, 40012);
  client = server.accept();
  guest_.leave();
  EXPECT_EQ(hear(client), "") << "the guest is gone, and its connection is not";
}

TEST_F(UserNetworkTest, AClosedTcpPortIsRefused) {
  const Stream stream(guest_, host_, free_port(SOCK_STREAM), 40002);
  EXPECT_EQ(stream.end(), Stream::End::Reset);
}

TEST_F(UserNetworkTest, AClosedUdpPortIsToldByIcmp) {
  const Ipv4 header = guest_.header(IPPROTO_UDP, host_);
  const std::string text = "anybody?";
  guest_.send_ip(udp(header, {40000, free_port(SOCK_DGRAM)}, std::as_bytes(std::span(text))));
  const auto seen = guest_.wait_for_protocol(IPPROTO_ICMP);
  ASSERT_TRUE(seen);
  EXPECT_EQ(Reader(seen->payload).u16(0), 0x0303u) << "not: port unreachable (RFC 792)";
}

TEST_F(UserNetworkTest, DatagramsGoBothWays) {
  const Server server(SOCK_DGRAM);
  const Ipv4 header = guest_.header(IPPROTO_UDP, host_);
  const std::string question = "what time is it?";
  guest_.send_ip(udp(header, {40000, server.port}, std::as_bytes(std::span(question))));
  char room[64];
  sockaddr_in from{};
  socklen_t size = sizeof from;
  auto* const generic = reinterpret_cast<sockaddr*>(&from);
  const ssize_t count = ::recvfrom(server.socket.get(), room, sizeof room, 0, generic, &size);
  ASSERT_EQ(std::string(room, static_cast<std::size_t>(std::max<ssize_t>(count, 0))), question);
  ASSERT_EQ(::sendto(server.socket.get(), "late", 4, 0, generic, size), 4);
  const auto seen = guest_.wait_for_protocol(IPPROTO_UDP);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->text(), "late");
  EXPECT_EQ(seen->header.from, host_);
  EXPECT_EQ(seen->udp_ports().from, server.port);
  EXPECT_EQ(seen->udp_ports().to, 40000);
}

TEST_F(UserNetworkTest, ADatagramArrivesWholeWhoseFragmentsDoNot) {
  const Server server(SOCK_DGRAM);
  const Ipv4 header = guest_.header(IPPROTO_UDP, host_);
  std::string text(3000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>('a' + i % 26);
  const Bytes packet = udp(header, {40000, server.port}, std::as_bytes(std::span(text)));
  const auto data = std::span(packet).subspan(20);
  guest_.send(fragment(header, data, 1480, data.size() - 1480, More::No));
  guest_.send(fragment(header, data, 0, 1480, More::Yes));
  EXPECT_EQ(hear(server.socket), text);
}

TEST_F(UserNetworkTest, AForwardedTcpPortLeadsToTheGuest) {
  const Fd client = connect_to(SOCK_STREAM, tcp_port_);
  Stream stream(guest_, 80);
  ASSERT_EQ(stream.end(), Stream::End::Open);
  EXPECT_EQ(stream.peer(), host_) << "the host has the gateway's address";
  EXPECT_TRUE(say(client, "GET /"));
  EXPECT_EQ(stream.receive(5), "GET /");
  stream.send("page");
  EXPECT_EQ(hear(client), "page");
}

TEST_F(UserNetworkTest, ManyConnectToAForwardedPortAtOnce) {
  std::vector<Fd> clients;
  for (unsigned i = 0; i < 16; ++i)
    clients.push_back(connect_to(SOCK_STREAM, tcp_port_));
  for (unsigned i = 0; i < 16; ++i)
    EXPECT_EQ(Stream(guest_, 80).end(), Stream::End::Open);
}

TEST_F(UserNetworkTest, AForwardedUdpPortLeadsToTheGuest) {
  const Fd client = connect_to(SOCK_DGRAM, udp_port_);
  EXPECT_TRUE(say(client, "who is it?"));
  const auto seen = guest_.wait_for_protocol(IPPROTO_UDP);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->text(), "who is it?");
  EXPECT_EQ(seen->udp_ports().to, 53);
  const std::string answer = "me";
  guest_.send_ip(udp(guest_.header(IPPROTO_UDP, seen->header.from), {53, seen->udp_ports().from},
                     std::as_bytes(std::span(answer))));
  EXPECT_EQ(hear(client), "me");
}

TEST_F(UserNetworkTest, APortThatIsInUseIsNamed) {
  const std::string port = std::to_string(tcp_port_);
  Guest second(start_network({{{Protocol::Tcp, "127.0.0.1", tcp_port_, 80}}}));
  EXPECT_EQ(second.greeting(), "--net: forward=tcp:127.0.0.1:" + port + ":80: port " + port +
                                   " of 127.0.0.1 is in use by another program; take another port");
  EXPECT_FALSE(second.receive());
  Guest third(start_network({{{Protocol::Udp, "127.0.0.1", udp_port_, 53}}}));
  EXPECT_NE(third.greeting().find("is in use by another program"), std::string::npos);
}

TEST_F(UserNetworkTest, AnAddressThatTheHostHasNotIsNamed) {
  Guest second(start_network({{{Protocol::Tcp, "192.0.2.1", tcp_port_, 80}}}));
  EXPECT_NE(second.greeting().find("this host has no address 192.0.2.1"), std::string::npos);
}

}  // namespace
}  // namespace ringside::network
