// The arithmetic flags as host code keeps them in AX: AH as LAHF gives it (SF ZF 0 AF 0 PF 1 CF
// from bit 7 on), AL 1 for OF and 0 otherwise. After the logical instructions AL is kClear, which
// says that OF and AF are 0 whatever AH has there: the host's AF is undefined then (SDM 1 appendix
// A), ours is clear.
#pragma once

#include <cstdint>

#include "engine/soft/state/flags.h"
#include "ringside/x86/bits.h"

namespace ringside::soft::host_flags {

inline constexpr std::uint64_t kLow =
    x86::rflags::SF | x86::rflags::ZF | x86::rflags::AF | x86::rflags::PF | x86::rflags::CF;
inline constexpr std::uint8_t kOverflow = 1, kClear = 0x80;
inline constexpr unsigned kOverflowShift = 11;  // of OF in RFLAGS

inline std::uint64_t from(const Flags& flags) {
  const std::uint64_t bits = flags.arithmetic();
  return (bits & kLow) << 8 | (bits >> kOverflowShift & 1);
}

inline void store(std::uint64_t host, Flags& flags) {
  std::uint64_t bits = (host >> 8 & kLow) | (host & kOverflow) << kOverflowShift;
  if ((host & kClear) != 0) bits &= ~std::uint64_t{x86::rflags::AF};
  flags.set_arithmetic(bits);
}

}  // namespace ringside::soft::host_flags
