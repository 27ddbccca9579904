// Runs one CPU: the fast loop over decoded blocks, and what happens between instructions
// (interrupts, traps, breakpoints, debugger steps). Single thread.
#pragma once

#include <cstdint>

namespace ringside::soft {

class Cpu;

// Runs until icount reaches `until`, or something asks the CPU to yield, or the CPU stops running
// (halted, waiting, dead), or it has a pending_exit. Guest faults are delivered inside. No
// instruction runs beyond the limit; fewer run where some have taken the time of several.
void run(Cpu& cpu, std::uint64_t until);

// One step for a debugger's monitor trap: exactly one instruction, or the delivery of the event
// that takes its place (its fault, an interrupt that wakes a halted CPU). False while a halted or
// waiting CPU has nothing to wake it.
bool step(Cpu& cpu);

// The next thing that retires nothing (hypervisor::Progress): where the recorded run has had one
// here, the next instruction is not over after it. Or a breakpoint of the debugger, as in run().
void run_part(Cpu& cpu);

// Between two steps: a breakpoint of the debugger stands on the next instruction and counts. It is
// then the pending_exit.
bool stops_at_breakpoint(Cpu& cpu);

// A breakpoint of the debugger on the next instruction does not stop this CPU.
void pass_breakpoint(Cpu& cpu);

// Whether something would let a halted CPU run.
bool can_wake(const Cpu& cpu);

}  // namespace ringside::soft
