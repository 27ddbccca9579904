// Numbers as tables for guests hold them: the lowest byte first, whatever the host's order is.
#pragma once

#include <cstdint>
#include <string>

namespace ringside {

// The lowest `size` bytes of the value, at most 8.
inline std::string little_endian(std::uint64_t value, unsigned size) {
  std::string bytes;
  for (unsigned i = 0; i < size; ++i)
    bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

}  // namespace ringside
