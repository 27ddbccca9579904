// The address of a Unix socket that has a path (unix(7)).
#pragma once

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/result.h"

namespace ringside::transport {

struct UnixAddress {
  sockaddr_un local{};

  // As calls of any kind of socket take it.
  const sockaddr* any() const { return reinterpret_cast<const sockaddr*>(&local); }
  static constexpr socklen_t kSize = sizeof(sockaddr_un);
};

// An error, not another name, for what no socket can have.
inline Result<UnixAddress> unix_address(const std::string& path) {
  constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty() || path.size() > kLongest || path.find('\0') != std::string::npos) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the path of a Unix socket has 1 to {} bytes, none of them zero, and "
                            "'{:.40}' has {}",
                            kLongest, path, path.size()));
  }
  UnixAddress address;
  address.local.sun_family = AF_UNIX;
  path.copy(address.local.sun_path, kLongest);
  return address;
}

}  // namespace ringside::transport
