// The components of the state that XSAVE manages, as bits of XCR0 (SDM 1 13.1).
#pragma once

#include <cstdint>

namespace ringside::soft::xstate {

inline constexpr std::uint64_t kX87 = 1, kSse = 2, kAvx = 4, kAll = kX87 | kSse | kAvx;

// What XSETBV takes (SDM 2D): x87 always, AVX not without SSE.
constexpr bool is_valid(std::uint64_t xcr0) {
  return (xcr0 & ~kAll) == 0 && (xcr0 & kX87) != 0 && ((xcr0 & kAvx) == 0 || (xcr0 & kSse) != 0);
}

// Bytes of an area with the components in `xcr0`, standard or compacted (SDM 1 13.4).
constexpr std::uint32_t area_size(std::uint64_t xcr0) { return (xcr0 & kAvx) != 0 ? 832 : 576; }

}  // namespace ringside::soft::xstate
