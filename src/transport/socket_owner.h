// Whose the other end of a TCP connection is, where that is a socket of this network namespace:
// asked of the kernel by the connection's addresses and ports (sock_diag(7)).
//
// Owned by who listens; one thread.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/fd.h"
#include "base/result.h"

namespace ringside::transport {

// Both ends of a TCP connection, as the socket of one of them sees them. IPv4 is as IPv6 has it
// (::ffff:127.0.0.1), whatever the sockets' families are. Ports are numbers.
struct TcpEnds {
  in6_addr own{}, other{};
  std::uint16_t own_port = 0, other_port = 0;
  std::uint32_t interface = 0;  // of link-local addresses
};
// Nothing for what is no TCP connection, and for one that has ended.
std::optional<TcpEnds> ends_of(int socket);
bool is_mapped(const in6_addr& address);
bool is_loopback(const in6_addr& address);

// The question whose the other end is, and what its answer says. The user is the one as whom the
// socket was made. Nothing: there is no such socket, or no longer one with an owner.
std::array<std::byte, 72> owner_question(const TcpEnds& ends, std::uint32_t number);
Result<std::optional<uid_t>> read_owner(std::span<const std::byte> answer, const TcpEnds& ends,
                                        std::uint32_t number);

class SocketOwners {
 public:
  static Result<SocketOwners> open();
  // Of the other end of this connection. Asked once it is accepted; does not block.
  Result<std::optional<uid_t>> owner_of_other_end(const TcpEnds& ends);

 private:
  explicit SocketOwners(Fd netlink) : netlink_(std::move(netlink)) {}

  Fd netlink_;
  std::uint32_t number_ = 0;
};

}  // namespace ringside::transport
