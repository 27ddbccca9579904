// What registers that a client writes make of a vCPU's state
// (docs/decisions/0028-written-registers.md). A selector loads its segment; who leaves a register
// as it is has written nothing. Everything is decided before the engine sees any of it.
#pragma once

#include <vector>

#include "base/result.h"
#include "ringside/vm.h"

namespace ringside::debug {

struct RegisterWrite {
  x86::Register name;
  x86::RegisterValue value;
};

// Whether other parts of the state follow from a write of it, or it can be refused: selectors,
// control registers, EFER, EFLAGS, bases of segments.
bool has_consequences(x86::Register r);

// `state` with these written, all at once. BadRequest, with the reason in words, for what the
// processor would not load, or could not run with; then `state` is not to be used.
Result<void> apply_writes(hypervisor::Vm& vm, VcpuId vcpu, x86::CpuState& state,
                          const std::vector<RegisterWrite>& writes);

}  // namespace ringside::debug
