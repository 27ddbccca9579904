// A vCPU's x87, vector registers and PKRU as the note NT_X86_XSTATE has them: an XSAVE area in the
// standard form (SDM 1 13.4), with the components that it has in the bytes for software, where
// Linux writes them and GDB looks.
//
// Pure functions.
#pragma once

#include <array>
#include <cstddef>

#include "ringside/x86/cpu_state.h"

namespace ringside::guests {

// Up to PKRU, which is where Intel's processors with AVX-512 have it. It is the one place that GDB
// 13 knows.
inline constexpr std::size_t kXstateSize = 2696;
using XstateArea = std::array<std::byte, kXstateSize>;

// All components are in it, whether the guest has switched them on or not.
XstateArea xstate_area(const x86::CpuState& state);

}  // namespace ringside::guests
