// What a guest reaches, and who reaches it: sockets on the loopback address of the host, and the
// network itself in a process of its own.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <string>
#include <string_view>

#include "base/fd.h"
#include "network/testing/guest.h"
#include "network/user_network.h"
#include "sandbox/companion.h"

namespace ringside::network::testing {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

inline Fd patient(int type) {
  Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return socket;
}

// Bound to a port of the loopback address, and for SOCK_STREAM listening there.
struct Server {
  explicit Server(int type) : socket(patient(type)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket.get(), generic, size), 0);
    if (type == SOCK_STREAM) {
      EXPECT_EQ(::listen(socket.get(), 16), 0);
    }
    EXPECT_EQ(::getsockname(socket.get(), generic, &size), 0);
    port = ntohs(address.sin_port);
  }
  Fd accept() const { return Fd(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  Fd socket;
  std::uint16_t port = 0;
};

// That nobody had a moment ago.
inline std::uint16_t free_port(int type) { return Server(type).port; }

inline Fd connect_to(int type, std::uint16_t port) {
  Fd socket = patient(type);
  const sockaddr_in address = loopback(port);
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
  return socket;
}

inline bool say(const Fd& socket, std::string_view text) {
  return ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}
// What comes at once.
inline std::string hear(const Fd& socket) {
  char text[4096];
  const ssize_t size = ::recv(socket.get(), text, sizeof text, 0);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
}

// Every network that was started has ended, and none by a signal. Their sockets are closed.
inline void expect_a_good_end() {
  int status = 0;
  while (::waitpid(-1, &status, 0) > 0)
    EXPECT_EQ(status, 0);
}

inline Fd start_network(const NetworkOptions& options = {}, const sandbox::Rights& rights = {}) {
  auto socket = sandbox::start_companion(
      "network", sandbox::CompanionSocket::Stream,
      [&](sandbox::CompanionFiles files) { serve(files.socket, options, rights); });
  EXPECT_TRUE(socket);
  return socket ? *std::move(socket) : Fd();
}

}  // namespace ringside::network::testing
