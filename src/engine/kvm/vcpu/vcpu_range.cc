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
  const Lock lock = handover_.lock();
  step_range_ = Range{start.value, end.value};
  return true;
}

// After a step: whether it has ended within the range.
bool KvmVcpu::goes_on_stepping() {
  if (!monitor_trap_ || !step_range_ || activity_ != Activity::Running) return false;
  if (!registers_.load(RegisterFile::kGeneral)) return false;
  const std::uint64_t rip = registers_.general().rip;
  return rip >= step_range_->start && rip < step_range_->end;
}

// Steps are made without the debugger's breakpoints in the debug registers.
std::optional<hypervisor::Exit> KvmVcpu::breakpoint_ahead() {
  if (!registers_.load(RegisterFile::kGeneral | RegisterFile::kSystem)) return std::nullopt;
  const Gva next = registers_.linear_rip();
  {
    const std::lock_guard lock(system_.stoppoints_lock);
    if (!system_.stoppoints.has_breakpoint(next)) return std::nullopt;
  }
  left_at_breakpoint_ = next;
  left_under_int3_ = int3_at_rip() != 0;
  return exit::HardwareBreakpoint{next};
}

// A step over HLT. It is no exit where the local APIC is the kernel's, and where ring 0 is
// interpreted the trap comes in place of it.
Result<void> KvmVcpu::note_halt() {
  TRY(registers_.load(RegisterFile::kGeneral));
  interrupts_on_ = (registers_.general().rflags & x86::rflags::IF) != 0;
  activity_ = Activity::Halted;
  if (!kernel_apic()) return {};
  TRY(registers_.flush());
  return set_kernel_activity(KVM_MP_STATE_HALTED);
}

// Most steps keep the others out of the guest, and begin sooner after the last one than a thread
// wakes up: what the stepped code waits for might never come.
void KvmVcpu::let_others_run() {
  if (Host::now() - others_ran_ < kTurn) return;
  if (system_.gate.has_kept_somebody()) {
    Lock lock = handover_.lock();
    handover_.wait_for(lock, kTurn,
                       [&] { return handover_.requests(lock).any() || system_.ended; });
  }
  others_ran_ = Host::now();
}

}  // namespace ringside::kvm
