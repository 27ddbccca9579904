// A write that is not content with a part.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>

#include "base/fd.h"

namespace ringside {

// All of it, in as many writes as it takes. False: the rest could not be written, for errno.
inline bool write_all(const Fd& fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace ringside
