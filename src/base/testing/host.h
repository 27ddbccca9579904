// What unit tests need of the host and not every host has. Each function gives the reason for
// skipping a test, the same words wherever it is skipped, or an empty string. The others:
// tests/support/host.h.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "base/fd.h"

namespace ringside::testing::host {

// An IPv6 loopback address to listen on. A kernel may know the protocol and have no address.
inline std::string no_ipv6() {
  const Fd any(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const bool there =
      any && ::bind(any.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) == 0;
  return there ? "" : "this host has no IPv6 loopback address";
}

}  // namespace ringside::testing::host
