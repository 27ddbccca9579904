// vCPUs that get their power: at the start of the machine, and when it wakes. Functions over the
// engine's vCPUs, between two instructions.
#pragma once

#include <memory>
#include <vector>

#include "engine/soft/soft_vcpu.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::soft {

using Vcpus = std::vector<std::unique_ptr<SoftVcpu>>;

// Nothing has been started but the boot processor, which is in `entry`.
void power_on(const Vcpus& vcpus, const x86::CpuState& entry);
// The same for the processors. What the debugger sees of them stays: who has been started once is a
// thread of its.
void wake(const Vcpus& vcpus, const x86::CpuState& entry);

}  // namespace ringside::soft
