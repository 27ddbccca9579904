// Clients of a test's listener, and addresses as tests write them.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <string>
#include <variant>

#include "base/fd.h"
#include "transport/endpoint.h"
#include "transport/unix_address.h"

namespace ringside::transport {

inline constexpr int kPatienceMs = 10'000;

inline in6_addr address(const char* text) {
  in6_addr result{};
  EXPECT_EQ(::inet_pton(AF_INET6, text, &result), 1) << text;
  return result;
}

// A client's end, connected and blocking.
inline Fd connect_to(const Endpoint& endpoint) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (const auto* tcp = std::get_if<TcpEndpoint>(&endpoint)) {
    if (tcp->address.find(':') != std::string::npos) {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(tcp->port);
      ::inet_pton(AF_INET6, tcp->address.c_str(), &v6->sin6_addr);
      size = sizeof *v6;
    } else {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(tcp->port);
      ::inet_pton(AF_INET, tcp->address.c_str(), &v4->sin_addr);
      size = sizeof *v4;
    }
  } else {
    const auto local = unix_address(std::get<UnixEndpoint>(endpoint).path);
    if (!local) return Fd();
    size = local->kSize;
    std::memcpy(&storage, local->any(), size);
  }
  Fd socket(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{kPatienceMs / 1000, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return Fd();
  return socket;
}

}  // namespace ringside::transport
