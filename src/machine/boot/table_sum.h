// The checksum of BIOS tables: all bytes of one sum up to zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::machine {

// What makes the sum zero, in a byte that is zero yet.
inline std::byte sum_to_zero(std::span<const std::byte> table) {
  unsigned sum = 0;
  for (const std::byte byte : table)
    sum += std::to_integer<unsigned>(byte);
  return static_cast<std::byte>(-sum);
}

}  // namespace ringside::machine
