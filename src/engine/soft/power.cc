#include "engine/soft/power.h"

namespace ringside::soft {

namespace {

void give_power_again(const Vcpus& vcpus, const x86::CpuState& entry) {
  for (const auto& vcpu : vcpus)
    vcpu->cpu.reset();
  vcpus[0]->cpu.set_state(entry);
}

}  // namespace

void power_on(const Vcpus& vcpus, const x86::CpuState& entry) {
  for (const auto& vcpu : vcpus) {
    vcpu->cpu.pending_exit.reset();
    vcpu->is_active = false;
    vcpu->left_at_breakpoint.reset();
    vcpu->step_range.reset();
  }
  vcpus[0]->is_active = true;
  give_power_again(vcpus, entry);
}

// It slept at the same instruction, and may be stopped again before the next one.
void wake(const Vcpus& vcpus, const x86::CpuState& entry) {
  give_power_again(vcpus, entry);
  vcpus[0]->cpu.board().note_parts(1);
}

}  // namespace ringside::soft
