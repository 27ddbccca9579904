// Steps through a range without leaving for the debugger: the vCPU's thread.
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using Host = std::chrono::steady_clock;
using Lock = Handover::Lock;

// Of stepping, and then of what the others get.
constexpr std::chrono::milliseconds kTurn{1};

}  // namespace

bool KvmVcpu::step_within(Gva start, Gva end) {
  const Lock lock = parts_.handover.lock();
  step_range_ = Range{start.value, end.value};
  return true;
}

// After a step: whether it has ended within the range.
bool KvmVcpu::goes_on_stepping() {
  if (!parts_.core.monitor_trap || !step_range_ || parts_.core.activity != Activity::Running)
    return false;
  if (!parts_.core.registers.load(RegisterFile::kGeneral)) return false;
  const std::uint64_t rip = parts_.core.registers.general().rip;
  return rip >= step_range_->start && rip < step_range_->end;
}

// A step over HLT. It is no exit where the local APIC is the kernel's, and where ring 0 is
// interpreted the trap comes in place of it.
Result<void> KvmVcpu::note_halt() {
  TRY(parts_.core.registers.load(RegisterFile::kGeneral));
  parts_.core.interrupts_on = (parts_.core.registers.general().rflags & x86::rflags::IF) != 0;
  parts_.core.activity = Activity::Halted;
  if (!parts_.core.kernel_apic()) return {};
  TRY(parts_.core.registers.flush());
  return parts_.kernel_activity.set(KVM_MP_STATE_HALTED);
}

// Most steps keep the others out of the guest, and begin sooner after the last one than a thread
// wakes up: what the stepped code waits for might never come.
void KvmVcpu::let_others_run() {
  if (Host::now() - others_ran_ < kTurn) return;
  if (parts_.core.system.gate.has_kept_somebody()) {
    Lock lock = parts_.handover.lock();
    parts_.handover.wait_for(lock, kTurn, [&] {
      return parts_.handover.requests(lock).any() || parts_.core.system.ended;
    });
  }
  others_ran_ = Host::now();
}

}  // namespace ringside::kvm
