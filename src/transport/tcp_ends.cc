#include "transport/tcp_ends.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

namespace ringside::transport {
namespace {

struct Name {
  in6_addr address{};
  std::uint16_t port = 0;
  std::uint32_t interface = 0;
};

std::optional<Name> name_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return Name{mapped(&v4.sin_addr), ntohs(v4.sin_port), 0};
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return Name{v6.sin6_addr, ntohs(v6.sin6_port), v6.sin6_scope_id};
}

}  // namespace

in6_addr mapped(const void* v4) {
  in6_addr address{};
  address.s6_addr[10] = address.s6_addr[11] = 0xff;
  std::memcpy(&address.s6_addr[12], v4, sizeof(in_addr));
  return address;
}

bool is_mapped(const in6_addr& address) { return IN6_IS_ADDR_V4MAPPED(&address) != 0; }

bool is_loopback(const in6_addr& address) {
  return IN6_IS_ADDR_LOOPBACK(&address) != 0 || (is_mapped(address) && address.s6_addr[12] == 127);
}

// A connection that was reset has still its names on some kernels, and another one may have them
// by now.
std::optional<TcpEnds> ends_of(int socket) {
  sockaddr_storage own{}, other{};
  socklen_t own_size = sizeof own, other_size = sizeof other;
  tcp_info info{};
  socklen_t info_size = sizeof info;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
      ::getpeername(socket, reinterpret_cast<sockaddr*>(&other), &other_size) != 0 ||
      ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &info_size) != 0 ||
      (info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_CLOSE_WAIT)) {
    return std::nullopt;
  }
  const std::optional<Name> here = name_of(own), there = name_of(other);
  if (!here || !there) return std::nullopt;
  return TcpEnds{here->address, there->address, here->port, there->port, there->interface};
}

bool has_owner(unsigned state, std::uint64_t inode) {
  switch (state) {
    case TCP_ESTABLISHED:
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_CLOSE_WAIT:
    case TCP_LAST_ACK:
    case TCP_CLOSING:
      return inode != 0;
    default:  // among them TCP_LISTEN: sock_diag(7) falls back to a listener at that address
      return false;
  }
}

}  // namespace ringside::transport
