#include "engine/kvm/entry/guest_debug.h"

#include <cstring>
#include <mutex>

namespace ringside::kvm {

Result<void> GuestDebug::apply(std::uint32_t flags, const DebugSlots& slots, DebugAccess access) {
  kvm_guest_debug wanted{};
  // Always enabled, also where nothing is asked for. While it is not, KVM lets the guest have the
  // processor's own debug registers from its first access on until the next exit. A signal that
  // comes between the two makes it forget the end: it then takes the slots below for the guest's
  // registers.
  wanted.control = KVM_GUESTDBG_ENABLE | flags;
  if (slots.free() < kSlotCount) {
    wanted.control |= KVM_GUESTDBG_USE_HW_BP;
    for (unsigned i = 0; i < kSlotCount; ++i)
      wanted.arch.debugreg[i] = slots[i].address.value;
    wanted.arch.debugreg[7] = slots.dr7();
    // What the guest writes to its own registers changes what is free. A step looks afterwards.
    if (access == DebugAccess::Exits) wanted.arch.debugreg[7] |= x86::dr7::GD;
  }
  // Single-stepping starts at the RIP of the call.
  const bool step = (flags & KVM_GUESTDBG_SINGLESTEP) != 0;
  if (!step && std::memcmp(&wanted, &applied_, sizeof wanted) == 0) return {};
  TRY(control(core_.file.fd(), KVM_SET_GUEST_DEBUG, &wanted, "debugging of the guest"));
  applied_ = wanted;
  return {};
}

DebugSlots GuestDebug::make_slots(Stoppoints::Which which) {
  const Stoppoints& stoppoints = core_.system.stoppoints;
  const std::lock_guard lock(core_.system.stoppoints_lock);
  DebugSlots result = stoppoints.slots(which);
  // While KVM holds ours, the guest's own are out of use; so they take what is free.
  if (!stoppoints.empty() && core_.registers.load(RegisterFile::kDebug)) {
    const kvm_debugregs& guest = core_.registers.debug();
    result.add_guests({guest.db[0], guest.db[1], guest.db[2], guest.db[3]}, guest.dr7);
  }
  if (which == Stoppoints::Which::All) stoppoints.add_spares(result);
  return result;
}

Result<void> GuestDebug::apply_free() {
  const unsigned generation = core_.system.stoppoints_generation;
  if (generation != generation_) {
    slots_ = make_slots(Stoppoints::Which::All);
    generation_ = generation;
  }
  std::uint32_t flags = core_.breakpoint_exit ? KVM_GUESTDBG_USE_SW_BP : 0;
  if (core_.kernel_apic() && core_.mask_interrupts) flags |= KVM_GUESTDBG_BLOCKIRQ;
  return apply(flags, slots_, DebugAccess::Exits);
}

DebugSlots& GuestDebug::take_slots_for_step() {
  slots_ = make_slots(Stoppoints::Which::WithoutBreakpoints);
  forget_slots();
  return slots_;
}

Result<void> GuestDebug::apply_step(std::uint32_t flags) {
  return apply(KVM_GUESTDBG_USE_SW_BP | flags, slots_, DebugAccess::Free);
}

// Takes the trap flag out of the guest's flags.
Result<void> GuestDebug::end_step() {
  return apply(KVM_GUESTDBG_USE_SW_BP, DebugSlots(), DebugAccess::Free);
}

}  // namespace ringside::kvm
