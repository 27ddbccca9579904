// Whose the other end of a TCP connection is, where that is a socket of this network namespace:
// asked of the kernel by the connection's addresses and ports (sock_diag(7)), and looked up in its
// list of all sockets only where it does not answer at all: a stranger who comes and goes at once
// would have the list, which is as long as he likes, read each time.
//
// Owned by who listens; one thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "transport/socket_table.h"
#include "transport/tcp_ends.h"

namespace ringside::transport {

// The question whose the other end is, and what its answer says.
std::array<std::byte, 72> owner_question(const TcpEnds& ends, std::uint32_t number);
struct OwnerAnswer {
  // The kernel has found a socket, be it another one at the same place: one that listens there.
  bool is_found = false;
  // As whom the other end's socket was made. Nothing: there is no such socket, or no longer one
  // with an owner.
  std::optional<uid_t> owner;
};
Result<OwnerAnswer> read_owner(std::span<const std::byte> answer, const TcpEnds& ends,
                               std::uint32_t number);

class SocketOwners {
 public:
  static Result<SocketOwners> open(SocketTable table = SocketTable::open());
  // Of the other end of this connection. Asked once it is accepted; does not block.
  Result<std::optional<uid_t>> owner_of_other_end(const TcpEnds& ends);

 private:
  SocketOwners(Fd netlink, SocketTable table)
      : netlink_(std::move(netlink)), table_(std::move(table)) {}
  Result<OwnerAnswer> ask(const TcpEnds& ends);
  bool answers_about(const TcpEnds& ends);

  Fd netlink_;
  SocketTable table_;
  std::uint32_t number_ = 0;
};

}  // namespace ringside::transport
