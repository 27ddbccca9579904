// Connections that somebody else has accepted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "library/serving.h"

namespace ringside::testing {
namespace {

class Adopted : public ::testing::Test {
 protected:
  Adopted() {
    endpoint_ = *DebugEndpoint::open(vm_, "");
    endpoint_->start();
  }
  PlayedVm vm_{1, 0x5a};
  std::unique_ptr<DebugEndpoint> endpoint_;
};

TEST_F(Adopted, AConnectionIsServed) {
  EXPECT_EQ(endpoint_->where(), "");
  EXPECT_FALSE(endpoint_->reachable_from_outside());
  auto [server, socket] = connected_sockets();
  ASSERT_TRUE(endpoint_->adopt(server.release()));
  EXPECT_TRUE(endpoint_->connected());
  Serving serving(*endpoint_);
  DebugClient client(std::move(socket));
  parse_stop(client.request("?"));
  EXPECT_EQ(client.read(0, 1), "\x5a");
  EXPECT_EQ(client.rip(), kCode);
}

TEST_F(Adopted, ASecondLooksAndTheFirstNeverNotices) {
  auto [server, socket] = connected_sockets();
  auto [second_server, second_socket] = connected_sockets();
  auto [third_server, third_socket] = connected_sockets();
  ASSERT_TRUE(endpoint_->adopt(server.release()));
  Serving serving(*endpoint_);
  {
    DebugClient client(std::move(socket));
    parse_stop(client.request("?"));
    serving.call([&, fd = second_server.release()] { EXPECT_TRUE(endpoint_->adopt(fd)); });
    DebugClient second(std::move(second_socket));
    parse_stop(second.request("?"));
    EXPECT_EQ(second.read(0, 1), "\x5a");
    EXPECT_EQ(second.request("M0,1:90").substr(0, 1), "E");
    EXPECT_EQ(client.read(0, 1), "\x5a");
  }
  // The first has hung up, if nobody has noticed yet.
  serving.call([&, fd = third_server.release()] { EXPECT_TRUE(endpoint_->adopt(fd)); });
  DebugClient third(std::move(third_socket));
  parse_stop(third.request("?"));
}

// A client is a connected stream socket; else there would be one that never says anything, nor
// goes.
TEST_F(Adopted, WhatIsNoConnectionIsRefused) {
  const auto expect_refusal = [&](int fd, const std::string& reason) {
    const Result<void> refused = endpoint_->adopt(fd);
    ASSERT_FALSE(refused) << reason;
    EXPECT_EQ(refused.error().text(), "a client cannot be adopted: " + reason);
    EXPECT_FALSE(endpoint_->connected());
    EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "it is the endpoint's in any case";
  };
  expect_refusal(-1, "Bad file descriptor");
  expect_refusal(::open("/dev/null", O_RDWR | O_CLOEXEC), "Socket operation on non-socket");
  expect_refusal(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 "Transport endpoint is not connected");
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  expect_refusal(ends[0], "Protocol wrong type for socket");
  ::close(ends[1]);
}

TEST_F(Adopted, ClientsComeAndGo) {
  Serving serving(*endpoint_);
  for (int i = 0; i < 20; ++i) {
    auto [server, socket] = connected_sockets();
    serving.call([&, fd = server.release()] { ASSERT_TRUE(endpoint_->adopt(fd)); });
    DebugClient client(std::move(socket));
    greet(client);
    detach(client);
  }
}

}  // namespace
}  // namespace ringside::testing
