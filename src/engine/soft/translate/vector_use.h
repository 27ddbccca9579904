// What an instruction needs of the vector unit before its host code may run, and the bits of the
// control registers that say whether it is there.
#pragma once

#include <cstdint>

#include "ringside/x86/bits.h"

namespace ringside::soft {

enum class VectorUse : std::uint8_t {
  None,
  Registers,   // SSE is available (SDM 3A table 2-2, 2.5)
  Arithmetic,  // and the host's MXCSR is the guest's: Stubs::load_control
};

// SSE is available with none of these in CR0, and this in CR4.
inline constexpr std::uint8_t kSseOff = x86::cr0::EM | x86::cr0::TS;
inline constexpr std::uint32_t kSseOn = x86::cr4::OSFXSR;
static_assert((x86::cr0::EM | x86::cr0::TS) <= 0xff);

inline constexpr std::uint32_t kMxcsrMasks = 0x1f80, kMxcsrReserved = 0xffff0000;

}  // namespace ringside::soft
