// Tells of calls and returns, for who listens to the flow (hypervisor::FlowListener). Interrupts
// and exceptions are told of where they are delivered.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/state/insn.h"

namespace ringside::soft {

inline bool is_told(const Insn& insn) { return (insn.prefixes & prefix::kFlow) != 0; }

// What such an instruction changes, as it was before.
struct FlowBefore {
  explicit FlowBefore(const Cpu& cpu) : stack(cpu.rsp()), cpl(cpu.cpl()) {}
  std::uint64_t stack;
  unsigned cpl;
};

// The instruction `insn`, at the linear address `from`, has been executed.
void tell_flow(Cpu& cpu, const Insn& insn, std::uint64_t from, const FlowBefore& before);

}  // namespace ringside::soft
