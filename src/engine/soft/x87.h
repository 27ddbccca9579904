// What the x87 families share: availability, the stack with its faults, the status word, and the
// record of the last instruction. Used by handlers only, on the engine's thread.
#pragma once

#include <cstdint>

#include "engine/soft/cpu.h"
#include "engine/soft/fault.h"
#include "engine/soft/insn.h"
#include "engine/soft/lower.h"

namespace ringside::soft {

namespace x87 {
inline constexpr std::uint16_t kInvalid = 1, kDenormal = 2, kZeroDivide = 4, kOverflow = 8,
                               kUnderflow = 16, kPrecision = 32, kExceptions = 0x3f,
                               kStackFault = 0x40, kErrorSummary = 0x80, kC0 = 0x100, kC1 = 0x200,
                               kC2 = 0x400, kC3 = 0x4000, kBusy = 0x8000,
                               kConditions = kC0 | kC1 | kC2 | kC3;
// Found before the operation is done: unmasked, they leave operands and stack as they are.
inline constexpr std::uint16_t kBeforeComputation = kInvalid | kDenormal | kZeroDivide;
inline constexpr X87Value kIndefinite{0xc000000000000000, 0xffff};
inline constexpr X87Value kOne{0x8000000000000000, 0x3fff};
}  // namespace x87

inline constexpr std::uint16_t kX87OpcodeMask = 0x7ff;

// What the control word becomes when `value` is loaded: bit 6 reads as one, bits 7 and 13..15 as
// zero.
constexpr std::uint16_t x87_control(std::uint16_t value) {
  return static_cast<std::uint16_t>((value & 0x1f3f) | 0x40);
}

// ES and B follow the unmasked exception flags (SDM 1 8.1.3.3).
inline void update_x87_summary(Fpu& fpu) {
  const bool pending = (fpu.status & ~fpu.control & x87::kExceptions) != 0;
  fpu.status =
      static_cast<std::uint16_t>(pending ? fpu.status | x87::kErrorSummary | x87::kBusy
                                         : fpu.status & ~(x87::kErrorSummary | x87::kBusy));
}

}  // namespace ringside::soft
