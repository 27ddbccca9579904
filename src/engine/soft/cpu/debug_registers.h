// The guest's own breakpoints in DR0 to DR7 (SDM 3B 17.2). What the debugger of this machine sets
// is elsewhere (Board::breakpoints, Board::watches): the guest never sees that.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"

namespace ringside::soft {

enum class BreakOn : std::uint8_t { Execution = 0, Write = 1, Port = 2, ReadOrWrite = 3 };

// DR6.B0 to B3 for the enabled breakpoints that an access to [address, address + size) meets. For
// Read a breakpoint on data must be ReadOrWrite; for Fetch, Execution.
std::uint64_t breakpoints_met(const Cpu& cpu, std::uint64_t address, unsigned size,
                              AccessKind kind);
std::uint64_t port_breakpoints_met(const Cpu& cpu, std::uint16_t port, unsigned width);

inline bool any_debug_register_enabled(std::uint64_t dr7) { return (dr7 & 0xff) != 0; }

// Whether any breakpoint on execution is enabled: the CPU then goes an instruction at a time.
bool breaks_on_execution(const Cpu& cpu);
// Whether an enabled breakpoint on data lies in the page: it must then not take the fast path.
bool breaks_on_data_in(const Cpu& cpu, std::uint64_t linear_page);

// Breakpoints on data and ports trap after the instruction.
inline void note_breakpoints(Cpu& cpu, std::uint64_t met) {
  if (met == 0) return;
  cpu.pending_debug |= met;
  cpu.leave_soon();
}

// A #DB for these causes is about to be delivered.
inline void record_debug_causes(Cpu& cpu, std::uint64_t causes) {
  cpu.dr6 = x86::dr6::with_causes(cpu.dr6, causes);
}

// Whether an enabled breakpoint on execution lies on the instruction at `linear`, and RF and an SS
// load before it permit it.
bool breaks_on_instruction(const Cpu& cpu, std::uint64_t linear);
// Before an instruction is executed: #DB as a fault if a breakpoint lies on it, once RF and an SS
// load before it permit.
void check_instruction_breakpoint(Cpu& cpu, std::uint64_t linear);

// After a write to DR0..DR3 or DR7, whose value was `old_dr7` before.
void debug_registers_changed(Cpu& cpu, std::uint64_t old_dr7);

}  // namespace ringside::soft
