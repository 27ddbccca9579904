// An instruction as it lies before a processor, in words. Plain functions.
#pragma once

#include <optional>
#include <string>

#include "ringside/vm.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::testing {

struct InsnText {
  std::uint64_t linear = 0;
  std::optional<Gpa> physical;  // nothing: it cannot be fetched
  unsigned length = 0;          // 0: not known
  std::string text;             // bytes and meaning
};

// The instruction that the vCPU executes next. It is out of the guest, or no slice is under way.
InsnText next_insn(hypervisor::Vm& vm, VcpuId vcpu, const x86::CpuState& state);

// All registers, a few in a line.
std::string registers_text(const x86::CpuState& state);

}  // namespace ringside::testing
