// Writes of control registers and EFER with their checks and consequences (SDM 3A 2.5, 9.8.5): one
// place for MOV CR, LMSW, CLTS and WRMSR. On the thread that runs the CPU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ringside/x86/cpu_state.h"

namespace ringside::soft {

class Cpu;

// These throw #GP(0) for a value that the architecture refuses; then nothing has changed.
void write_cr0(Cpu& cpu, std::uint64_t value);
void write_cr3(Cpu& cpu, std::uint64_t value);
void write_cr4(Cpu& cpu, std::uint64_t value);
void write_cr8(Cpu& cpu, std::uint64_t value);
// Why this processor cannot be given this state, in words: bits of CR4 or EFER that it has not and
// that are not set already.
std::optional<std::string> unknown_bits(const Cpu& cpu, const x86::CpuState& state);
// After CR3 has come from elsewhere: what PAE paging keeps of the table that it names, unchecked.
void reload_pdptes(Cpu& cpu);
// False: #GP(0).
bool write_efer(Cpu& cpu, std::uint64_t value);

// The time-stamp counter: virtual nanoseconds plus IA32_TSC_ADJUST.
std::uint64_t time_stamp(Cpu& cpu);

}  // namespace ringside::soft
