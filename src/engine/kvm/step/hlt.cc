#include "engine/kvm/step/hlt.h"

#include <cerrno>

#include "base/log.h"

namespace ringside::kvm {

// KVM_RUN of an uninitialized vCPU waits for interrupts all the same and only comes back with
// EAGAIN.
bool await_interrupt(EntryParts& parts) {
  KernelActivity& activity = parts.kernel_activity;
  int error = EINTR;
  Result<void> done = parts.core.registers.flush();
  if (done) done = activity.set(KVM_MP_STATE_UNINITIALIZED);
  if (done) error = parts.entry.run();
  const auto state = activity.get();
  if (!state || *state == KVM_MP_STATE_UNINITIALIZED) {
    done = activity.set(KVM_MP_STATE_HALTED);
  } else {
    activity.note();
    error = EINTR;
  }
  if (!done) log::error("vCPU {}: a step in HLT: {}", parts.core.id.value, done.error().text());
  return error == EAGAIN;
}

Result<void> note_halt(EntryParts& parts) {
  VcpuCore& core = parts.core;
  TRY(core.registers.load(RegisterFile::kGeneral));
  core.interrupts_on = (core.registers.general().rflags & x86::rflags::IF) != 0;
  core.activity = Activity::Halted;
  parts.pages.note_halt();
  if (!core.kernel_apic()) return {};
  TRY(core.registers.flush());
  return parts.kernel_activity.set(KVM_MP_STATE_HALTED);
}

}  // namespace ringside::kvm
