// Reads and writes at a place in a file that are not content with a part.
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/fd.h"

namespace ringside {

// How many bytes there are of it up to the file's end. Nothing: it could not be read, for errno.
inline std::optional<std::size_t> read_at(const Fd& fd, std::uint64_t offset,
                                          std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count =
        ::pread(fd.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

// All of it. False: the rest could not be written, for errno.
inline bool write_at(const Fd& fd, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

// As far as it goes with several pieces of memory, none of them empty, by preadv(2) or pwritev(2).
// How many bytes were moved.
template <typename Call, typename Byte>
std::uint64_t move_pieces_at(const Call& call, const Fd& fd, std::uint64_t offset,
                             std::span<const std::span<Byte>> pieces) {
  std::array<iovec, 128> vectors;
  std::uint64_t done = 0;
  std::size_t within = 0;  // the first of the pieces that are left
  std::size_t whole = 0;
  while (whole < pieces.size()) {
    const std::size_t count = std::min(vectors.size(), pieces.size() - whole);
    for (std::size_t i = 0; i < count; ++i) {
      const std::span<Byte> rest = pieces[whole + i].subspan(i == 0 ? within : 0);
      vectors[i] = {const_cast<std::byte*>(rest.data()), rest.size()};
    }
    const ssize_t moved =
        call(fd.get(), vectors.data(), static_cast<int>(count), static_cast<off_t>(offset + done));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) break;
    done += static_cast<std::uint64_t>(moved);
    within += static_cast<std::size_t>(moved);
    for (; whole < pieces.size() && within >= pieces[whole].size(); ++whole)
      within -= pieces[whole].size();
  }
  return done;
}

}  // namespace ringside
