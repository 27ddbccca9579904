// The TCP sockets of this network namespace as the kernel lists them in /proc/net/tcp and
// /proc/net/tcp6 (proc(5)). It is for kernels that do not answer sock_diag(7) about TCP, because
// their tcp_diag is a module that is not there: reading a list takes longer than one question.
//
// Owned by who asks; one thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "transport/tcp_ends.h"

namespace ringside::transport {

// Whose the other end of a connection is, by a list with the lines of either file. Nothing: it is
// not there, or has no owner any more.
std::optional<uid_t> owner_listed(std::string_view list, const TcpEnds& ends);

class SocketTable {
 public:
  // Files that cannot be opened have no sockets; both are read again for each question, which works
  // when no file can be opened any more.
  static SocketTable open();
  explicit SocketTable(std::vector<Fd> files) : files_(std::move(files)) {}
  std::optional<uid_t> owner_of_other_end(const TcpEnds& ends) const;

 private:
  std::vector<Fd> files_;
};

}  // namespace ringside::transport
