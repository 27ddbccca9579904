// The x87 control, status and tag words. Pure functions over the state.
#pragma once

#include <cstdint>

#include "engine/soft/state/fpu.h"

namespace ringside::soft::x87 {

inline constexpr std::uint16_t kInvalid = 1, kDenormal = 2, kZeroDivide = 4, kOverflow = 8,
                               kUnderflow = 16, kPrecision = 32, kExceptions = 0x3f,
                               kStackFault = 0x40, kErrorSummary = 0x80, kC0 = 0x100, kC1 = 0x200,
                               kC2 = 0x400, kC3 = 0x4000, kBusy = 0x8000,
                               kConditions = kC0 | kC1 | kC2 | kC3;

// What the control word becomes when `value` is loaded: bit 6 reads as one, bits 7 and 13..15 as
// zero.
constexpr std::uint16_t control_word(std::uint16_t value) {
  return static_cast<std::uint16_t>((value & 0x1f3f) | 0x40);
}
// ES and B follow the unmasked exception flags (SDM 1 8.1.3.3).
inline void update_summary(Fpu& fpu) {
  const bool pending = (fpu.status & ~fpu.control & kExceptions) != 0;
  fpu.status = static_cast<std::uint16_t>(pending ? fpu.status | kErrorSummary | kBusy
                                                  : fpu.status & ~(kErrorSummary | kBusy));
}

// The two-bit tag of FNSTENV (SDM 1 8.1.7), and all eight of them.
std::uint16_t tag_word(const Fpu& fpu);
void set_tag_word(Fpu& fpu, std::uint16_t tags);

}  // namespace ringside::soft::x87
