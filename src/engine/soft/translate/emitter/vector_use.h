// What an instruction needs of the vector unit before its host code may run, and the bits of the
// control registers that say whether it is there.
#pragma once

#include <cstdint>

#include "engine/soft/state/xstate.h"
#include "ringside/x86/bits.h"

namespace ringside::soft {

// Bits.
using VectorUse = std::uint8_t;
namespace vector_use {
inline constexpr VectorUse kNone = 0;
inline constexpr VectorUse kSse = 1;  // SSE is available (SDM 3A table 2-2, 2.5)
inline constexpr VectorUse kAvx = 2;  // so is what is encoded with VEX (SDM 2A table 2-18)
// The host's MXCSR is the guest's: Stubs::load_control, which does so only where SSE is available.
inline constexpr VectorUse kControl = 4;
}  // namespace vector_use

// SSE is available with none of these in CR0, and this in CR4.
inline constexpr std::uint8_t kSseOff = x86::cr0::EM | x86::cr0::TS;
inline constexpr std::uint32_t kSseOn = x86::cr4::OSFXSR;
static_assert((x86::cr0::EM | x86::cr0::TS) <= 0xff);

// VEX is, in 64-bit mode, without this in CR0 and with these in CR4 and XCR0.
inline constexpr std::uint8_t kAvxOff = x86::cr0::TS;
inline constexpr std::uint32_t kAvxOn = x86::cr4::OSXSAVE;
inline constexpr std::uint8_t kAvxState = xstate::kSse | xstate::kAvx;

inline constexpr std::uint32_t kMxcsrMasks = 0x1f80, kMxcsrReserved = 0xffff0000;

}  // namespace ringside::soft
