// Whose a socket is by the kernel's list of all: what its lines mean, and the real kernel's list.
#include "transport/socket_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "transport/listener.h"
#include "transport/testing/client.h"

namespace ringside::transport {
namespace {

TcpEnds ends(const char* own, const char* other) {
  return {address(own), address(other), 1234, 40000, 0};
}

const std::string kHeading =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";
constexpr const char* kLoopback = "0100007F";
constexpr const char* kMapped = "0000000000000000FFFF00000100007F";
constexpr const char* kLoopback6 = "00000000000000000000000001000000";

// The socket of the client, who is user 1000; ports 40000 and 1234.
std::string line(const std::string& local, const std::string& remote, const char* state = "01",
                 const char* user = "1000", const char* inode = "5") {
  return "   3: " + local + ":9C40 " + remote + ":04D2 " + state +
         " 00000000:00000000 00:00000000 00000000  " + user + "        0 " + inode +
         " 1 0000000000000000 20 4 30 10 -1\n";
}

std::string owner(const std::string& list, const TcpEnds& of) {
  const auto found = owner_listed(list, of);
  return found ? std::to_string(*found) : "nobody";
}

const TcpEnds kV4 = ends("::ffff:127.0.0.1", "::ffff:127.0.0.1");
const TcpEnds kV6 = ends("::1", "::1");

TEST(SocketTable, ListsTheUserOfEachFamily) {
  EXPECT_EQ(owner(kHeading + line(kLoopback, kLoopback), kV4), "1000");
  EXPECT_EQ(owner(kHeading + line(kMapped, kMapped), kV4), "1000");
  EXPECT_EQ(owner(kHeading + line(kLoopback6, kLoopback6), kV6), "1000");
  EXPECT_EQ(owner(kHeading + line(kLoopback6, kLoopback6), kV4), "nobody");
}

// Our own end has the same numbers the other way round.
TEST(SocketTable, OurOwnEndIsNotTheOthers) {
  TcpEnds turned = kV4;
  std::swap(turned.own_port, turned.other_port);
  EXPECT_EQ(owner(kHeading + line(kLoopback, kLoopback), turned), "nobody");
  EXPECT_EQ(owner(line("0100007F", "0200007F"), kV4), "nobody");
  EXPECT_EQ(owner(line("0200007F", "0100007F"), kV4), "nobody");
}

// The kernel writes user 0 for these, which is root's number.
TEST(SocketTable, WhatNoProcessHasIsNobodys) {
  for (const char* state : {"01", "04", "05", "06", "03", "0A"})
    EXPECT_EQ(owner(line(kLoopback, kLoopback, state, "0", "0"), kV4), "nobody") << state;
  EXPECT_EQ(owner(line(kLoopback, kLoopback, "0A"), kV4), "nobody") << "a listening socket";
  EXPECT_EQ(owner(line(kLoopback, kLoopback, "06", "0", "0") + line(kLoopback, kLoopback), kV4),
            "1000")
      << "an ended connection of the same names comes first";
}

TEST(SocketTable, ALineThatIsNoneIsPassedOver) {
  const std::string whole = line(kLoopback, kLoopback);
  const std::size_t needed = whole.find(" 5 1 ") + 2;
  for (std::size_t size = 0; size < needed; ++size)
    EXPECT_EQ(owner(whole.substr(0, size), kV4), "nobody") << size;
  EXPECT_EQ(owner(whole.substr(0, needed), kV4), "1000");
  EXPECT_EQ(owner("\n\n:::: 1 2 3\n" + std::string(5000, 'A') + "\n" + whole, kV4), "1000");
  EXPECT_EQ(owner(line(kLoopback, kLoopback, "01", "4294967296"), kV4), "nobody");
  EXPECT_EQ(owner(line(kLoopback, kLoopback, "01", "-1"), kV4), "nobody");
}

TEST(SocketTable, TheKernelListsAConnection) {
  const SocketTable table = SocketTable::open();
  auto listener = Listener::open(TcpEndpoint{"127.0.0.1", 0});
  ASSERT_TRUE(listener) << listener.error().text();
  const Fd client = connect_to(listener->endpoint());
  ASSERT_TRUE(client);
  auto accepted = listener->accept();
  ASSERT_TRUE(accepted);
  const auto both = ends_of(accepted->input());
  ASSERT_TRUE(both);
  if (::access("/proc/net/tcp", R_OK) != 0) GTEST_SKIP() << "this host has no /proc/net/tcp";
  for (int times = 0; times < 2; ++times)
    EXPECT_EQ(table.owner_of_other_end(*both), ::geteuid()) << "read again";
}

}  // namespace
}  // namespace ringside::transport
