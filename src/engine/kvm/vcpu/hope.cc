#include "engine/kvm/vcpu/hope.h"

namespace ringside::kvm {

Hope hope(const EntryParts& parts) {
  const Handover& handover = parts.handover;
  const Handover::Lock lock = handover.lock();
  const Activity activity = parts.core.activity;
  if (handover.requests(lock).starts()) return Hope::Some;
  if (!handover.alive(lock)) return Hope::Absent;
  return hypervisor::hope_of(activity, handover.is_in_guest(lock),
                             parts.core.interrupts_on || parts.interrupts.nmi_waits());
}

Hope kernel_hope(const EntryParts& parts) {
  const Handover::Lock lock = parts.handover.lock();
  if (parts.core.activity == Activity::Asleep || parts.handover.requests(lock).starts())
    return Hope::Some;
  const std::uint32_t state =
      parts.kernel_activity.get().value_or(std::uint32_t{KVM_MP_STATE_RUNNABLE});
  if (state == KVM_MP_STATE_UNINITIALIZED || state == KVM_MP_STATE_INIT_RECEIVED)
    return Hope::Absent;
  if (state != KVM_MP_STATE_HALTED || !parts.handover.is_in_guest(lock) ||
      parts.interrupts.nmi_waits())
    return Hope::Some;
  kvm_regs registers{};
  kvm_vcpu_events events{};
  const Fd& fd = parts.file.fd();
  if (!control(fd, KVM_GET_REGS, &registers, "to read registers") ||
      !control(fd, KVM_GET_VCPU_EVENTS, &events, "to read pending events"))
    return Hope::Some;
  const bool wakes = (registers.rflags & x86::rflags::IF) != 0 || events.nmi.pending != 0;
  return wakes ? Hope::Some : Hope::None;
}

}  // namespace ringside::kvm
