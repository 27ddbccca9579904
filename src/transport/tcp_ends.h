// Both ends of a TCP connection, and which sockets of the kernel's have an owner.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>

namespace ringside::transport {

// As the socket of one of them sees them. IPv4 is as IPv6 has it (::ffff:127.0.0.1), whatever the
// sockets' families are. Ports are numbers.
struct TcpEnds {
  in6_addr own{}, other{};
  std::uint16_t own_port = 0, other_port = 0;
  std::uint32_t interface = 0;  // of link-local addresses
};
// Nothing for what is no TCP connection, and for one that has ended.
std::optional<TcpEnds> ends_of(int socket);

// The four bytes of an IPv4 address, in the order of the network.
in6_addr mapped(const void* v4);
bool is_mapped(const in6_addr& address);
bool is_loopback(const in6_addr& address);

// Whether a process has a socket in this state (TCP_ESTABLISHED and so on), whole or with one
// direction ended. One that has been closed, though its connection is not over yet, has no owner
// any more: the kernel says user 0 for it, root's number, and inode 0.
bool has_owner(unsigned state, std::uint64_t inode);

}  // namespace ringside::transport
