// fd:N: sockets that a process was started with, as systemd's socket activation and inetd do it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include "library/serving.h"
#include "support/child_process.h"

namespace ringside::testing {
namespace {

std::string name_of(const Fd& socket) { return "fd:" + std::to_string(socket.get()); }

struct Listening {
  Fd socket;
  std::uint16_t port = 0;
};
Listening listen_on(std::uint32_t address) {
  Listening result{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(address);
  socklen_t size = sizeof name;
  auto* const any = reinterpret_cast<sockaddr*>(&name);
  EXPECT_EQ(::bind(result.socket.get(), any, size), 0);
  EXPECT_EQ(::listen(result.socket.get(), 4), 0);
  EXPECT_EQ(::getsockname(result.socket.get(), any, &size), 0);
  result.port = ntohs(name.sin_port);
  return result;
}

TEST(Inherited, AListeningSocketHasClientsOneAfterAnother) {
  PlayedVm vm(1, 0x5a);
  const Listening listening = listen_on(INADDR_LOOPBACK);
  const auto endpoint = DebugEndpoint::open(vm, name_of(listening.socket));
  ASSERT_TRUE(endpoint) << endpoint.error().text();
  EXPECT_EQ((*endpoint)->where(), "127.0.0.1:" + std::to_string(listening.port));
  EXPECT_FALSE((*endpoint)->reachable_from_outside());
  (*endpoint)->start();
  Serving serving(**endpoint);
  for (int i = 0; i < 3; ++i) {
    DebugClient client(listening.port);
    parse_stop(client.request("?"));
    EXPECT_EQ(client.read(0, 1), "\x5a");
  }
}

TEST(Inherited, AListeningUnixSocketKeepsItsFile) {
  const std::string path = ::testing::TempDir() + "ringside-fd-" + std::to_string(::getpid());
  PlayedVm listener_vm, vm;
  auto made = DebugEndpoint::open(listener_vm, "unix:" + path);  // who made the socket
  ASSERT_TRUE(made);
  const int fd = (*made)->descriptors().back().fd;
  {
    const auto endpoint = DebugEndpoint::open(vm, "fd:" + std::to_string(fd));
    ASSERT_TRUE(endpoint) << endpoint.error().text();
    EXPECT_EQ((*endpoint)->where(), "unix:" + path);
  }
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
}

TEST(Inherited, AConnectedSocketIsTheOneClient) {
  PlayedVm vm(1, 0x5a);
  auto [server, socket] = connected_sockets();
  const auto endpoint = DebugEndpoint::open(vm, name_of(server));
  ASSERT_TRUE(endpoint) << endpoint.error().text();
  (*endpoint)->start();
  server.reset();  // the endpoint has its own
  Serving serving(**endpoint);
  DebugClient client(std::move(socket));
  greet(client);
  EXPECT_EQ(client.read(0, 1), "\x5a");
  detach(client);
}

TEST(Inherited, ASocketThatOthersReachIsSaidToBe) {
  PlayedVm vm;
  const Listening listening = listen_on(INADDR_ANY);
  const auto endpoint = DebugEndpoint::open(vm, name_of(listening.socket));
  ASSERT_TRUE(endpoint);
  EXPECT_TRUE((*endpoint)->reachable_from_outside());
}

// With LISTEN_FDS=1 the socket is descriptor 3.
TEST(Inherited, AProgramIsStartedWithItsSocket) {
  const Listening listening = listen_on(INADDR_LOOPBACK);
  const Fd passed(::fcntl(listening.socket.get(), F_DUPFD, 4));  // not closed on exec
  ASSERT_LT(passed.get(), 10) << "a shell takes one digit";
  // The client comes first, as with socket activation: it is why the program is started.
  DebugClient client(listening.port);
  ChildProcess toy(
      {"/bin/sh", "-c", "exec \"$0\" fd:3 3<&" + std::to_string(passed.get()), RINGSIDE_TOY});
  parse_stop(client.request("?"));
  client.insert(0x1006);
  client.resume();
  EXPECT_EQ(client.await_stop().signal, 5u);
  EXPECT_EQ(client.rip(), 0x1006u);
  toy.await(ChildProcess::Stream::Error,
            "gdb: listening on 127.0.0.1:" + std::to_string(listening.port) + "\n");
}

TEST(Inherited, WhatCannotBeServedIsSaidInOneSentence) {
  PlayedVm vm;
  const auto error = [&](const std::string& text) {
    const auto endpoint = DebugEndpoint::open(vm, text);
    return endpoint ? "no error" : endpoint.error().text();
  };
  for (const char* text : {"fd:", "fd:x", "fd:-1", "fd:+3", "fd:3x", "fd: 3", "fd:99999999999"})
    EXPECT_EQ(error(text), "'" + std::string(text) + "' is not fd: and a number");
  EXPECT_EQ(error("fd:999999"), "cannot listen on fd:999999: Bad file descriptor");
  const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(error(name_of(file)),
            "cannot listen on " + name_of(file) + ": Socket operation on non-socket");
  const Fd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(error(name_of(datagrams)),
            "cannot listen on " + name_of(datagrams) + ": Protocol wrong type for socket");
  // Neither listening nor connected: nobody could ever come.
  const Fd fresh(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(error(name_of(fresh)),
            "cannot listen on " + name_of(fresh) + ": Transport endpoint is not connected");
}

}  // namespace
}  // namespace ringside::testing
