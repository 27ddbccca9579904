// What write_log.cc notes: a header, with `size` bytes behind it.
#pragma once

#include <cstdint>

namespace ringside::testing {

struct LoggedWrite {
  enum class Kind : std::uint64_t {
    Write,  // to the disk's image, at `offset`
    Sync,   // all before it is on the disk
    Said,   // on standard output
  } kind;
  std::uint64_t offset;
  std::uint64_t size;
};

}  // namespace ringside::testing
