// Whose the other end of a TCP connection is, where that is a socket of this network namespace:
// asked of the kernel by the connection's addresses and ports (sock_diag(7)), and looked up in its
// list of all sockets where it has no answer.
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
  SocketOwners(Fd netlink, SocketTable table)
      : netlink_(std::move(netlink)), table_(std::move(table)) {}
  Result<std::optional<uid_t>> ask(const TcpEnds& ends);

  Fd netlink_;
  SocketTable table_;
  std::uint32_t number_ = 0;
};

}  // namespace ringside::transport
