// The components of the state that XSAVE manages, as bits of XCR0, and where each is in an area
// (SDM 1 13.1 to 13.4).
#pragma once

#include <cstdint>

namespace ringside::soft::xstate {

inline constexpr std::uint64_t kX87 = 1, kSse = 2, kAvx = 4, kPkru = std::uint64_t{1} << 9,
                               kAll = kX87 | kSse | kAvx | kPkru;

// What XSETBV takes (SDM 2D): x87 always, AVX not without SSE.
constexpr bool is_valid(std::uint64_t xcr0) {
  return (xcr0 & ~kAll) == 0 && (xcr0 & kX87) != 0 && ((xcr0 & kAvx) == 0 || (xcr0 & kSse) != 0);
}

inline constexpr std::uint32_t kHeader = 512, kHeaderSize = 64, kExtended = kHeader + kHeaderSize;
inline constexpr std::uint32_t kYmm = kExtended, kYmmSize = 256;
// In the standard form PKRU is where Intel's processors have it that have AVX-512, too. GDB knows
// no other place for a core of Intel's.
inline constexpr std::uint32_t kPkruPlace = 2688, kPkruSize = 8;

// In the compacted form components follow each other.
constexpr std::uint32_t compacted_pkru(std::uint64_t components) {
  return (components & kAvx) != 0 ? kYmm + kYmmSize : kExtended;
}

// Bytes of an area with these components.
constexpr std::uint32_t standard_size(std::uint64_t components) {
  if ((components & kPkru) != 0) return kPkruPlace + kPkruSize;
  return (components & kAvx) != 0 ? kYmm + kYmmSize : kExtended;
}
constexpr std::uint32_t compacted_size(std::uint64_t components) {
  return compacted_pkru(components) + ((components & kPkru) != 0 ? kPkruSize : 0);
}

}  // namespace ringside::soft::xstate
