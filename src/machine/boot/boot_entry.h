// The CPU states in which kernels expect to be entered, and the tables that these need in guest
// RAM.
#pragma once

#include "base/result.h"
#include "machine/boot/boot_memory.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::machine {

inline constexpr std::uint16_t kBootCode = 0x10, kBootData = 0x18;
// Below this the boot loaders put nothing: the real-mode vectors, the BIOS data area, and room for
// kernels and tests that expect low memory to be theirs.
inline constexpr Gpa kLowMemory{0x8000};

// Protected mode, flat 4 GiB segments, no paging, interrupts off.
Result<x86::CpuState> enter_32bit(BootMemory& memory, std::uint64_t rip);
// 64-bit mode with the first 4 GiB mapped to themselves in 2 MiB pages, interrupts off.
Result<x86::CpuState> enter_64bit(BootMemory& memory, std::uint64_t rip);

}  // namespace ringside::machine
