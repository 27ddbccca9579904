// KVM's debugging of one vCPU (KVM_SET_GUEST_DEBUG): the exit at int3, the trap flag, and the debug
// registers, which are lent to the debugger's stoppoints while the guest keeps what it uses itself.
// Owned by the vCPU; its thread's.
#pragma once

#include <cstdint>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/watch/debug_slots.h"

namespace ringside::kvm {

class GuestDebug {
 public:
  explicit GuestDebug(VcpuCore& core) : core_(core) {}

  // For the guest's running on: all that the debugger wants. Cheap where nothing has changed.
  Result<void> apply_free();
  // The debug registers for a step: without breakpoints. What is free may be given to step points.
  DebugSlots& take_slots_for_step();
  // For a step, with those registers, and after it.
  Result<void> apply_step(std::uint32_t flags);
  Result<void> end_step();

  // What the debug registers have, as the guest was last entered.
  const DebugSlots& slots() const { return slots_; }
  // They are put together anew for the next apply_free().
  void forget_slots() { generation_ = ~0u; }
  bool is_used() const { return applied_.control != 0; }
  bool is_stepping() const { return (applied_.control & KVM_GUESTDBG_SINGLESTEP) != 0; }

 private:
  // Whether the guest's accesses to its debug registers are exits, while some of ours are in use.
  enum class DebugAccess : std::uint8_t { Free, Exits };
  Result<void> apply(std::uint32_t flags, const DebugSlots& slots, DebugAccess access);
  DebugSlots make_slots(Stoppoints::Which which);

  VcpuCore& core_;
  kvm_guest_debug applied_{};
  DebugSlots slots_;
  unsigned generation_ = ~0u;  // of the stoppoints that slots_ was made from
};

}  // namespace ringside::kvm
