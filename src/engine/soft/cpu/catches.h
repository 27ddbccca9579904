// Where a CPU is caught at what it does (ringside/catches.h). Handlers and event delivery call
// these on paths that are slow anyhow, and where nothing is caught they test a bit of the board's.
// On the thread that runs the CPU.
//
// An event is caught before its delivery: the instruction is undone, and executed again when the
// vCPU is resumed, raises the same event, and that one is delivered. Nothing of it is state, and so
// a run with catches is the run without.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"

namespace ringside::soft {

// `event` is about to be delivered, and RIP is where it would be told of. True: the vCPU leaves the
// guest with that instead (Cpu::pending_exit).
bool stops_before_caught(Cpu& cpu, const hypervisor::exit::Caught& event);
inline bool stops_before(Cpu& cpu, const hypervisor::exit::Caught& event) {
  return cpu.board().catches_any(event.kind) && stops_before_caught(cpu, event);
}

// The instruction at insn_rip delivers an event itself. Throws InsnCaught where that is caught.
void check_own_event(Cpu& cpu, const hypervisor::exit::Caught& event);

// The present instruction has done `what`, or an exception was delivered in delivering another: an
// exit once it is over.
void note_done(Cpu& cpu, const hypervisor::exit::Caught& what);
inline void note_caught(Cpu& cpu, const hypervisor::exit::Caught& what) {
  if (cpu.board().catches_any(what.kind)) note_done(cpu, what);
}

// These events as a debugger is told of them.
hypervisor::exit::Caught caught_exception(const x86::Exception& exception);
hypervisor::exit::Caught caught_interrupt(std::uint8_t vector,
                                          hypervisor::exit::Caught::Source source);

}  // namespace ringside::soft
