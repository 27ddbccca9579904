// The bits of MXCSR (SDM 1 figure 10-3).
#pragma once

#include <cstdint>

namespace ringside::soft::mxcsr {

inline constexpr std::uint32_t kInvalid = 1, kDenormal = 2, kZeroDivide = 4, kOverflow = 8,
                               kUnderflow = 16, kPrecision = 32;
inline constexpr std::uint32_t kFlags = 0x3f, kDaz = 0x40, kMaskShift = 7, kMasks = 0x1f80,
                               kFtz = 0x8000, kControl = 0xffc0;
// Found before the operation is done, on all lanes (SDM 1 11.5.3.3).
inline constexpr std::uint32_t kBeforeComputation = kInvalid | kDenormal | kZeroDivide;

}  // namespace ringside::soft::mxcsr
