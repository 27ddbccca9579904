// How one vCPU is started: by the engine, or by INIT and a start-up IPI from another one, which the
// machine's local APICs report, or which the kernel's keep to themselves until they are asked
// (docs/decisions/0022). Owned by the vCPU.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/kvm/entry/parts.h"
#include "engine/kvm/host/power_on.h"

namespace ringside::kvm {

class StartUp {
 public:
  // `power_on` is what the vCPU had before it ran first.
  StartUp(EntryParts& parts, const PowerOnState& power_on)
      : core_(parts.core), handover_(parts.handover), parts_(parts), power_on_(power_on) {}

  // ---- Any thread; the machine sleeps and wakes
  // The boot processor stands still, with its registers for who looks at them.
  void fall_asleep();
  // Another one is as at power-on, and says so (System::lost_power).
  void lose_power();
  // The boot processor, when all others have lost theirs.
  void wake(const x86::CpuState& entry);

  // ---- Any thread; the machine's local APICs report
  void init();
  void start_up(std::uint8_t vector);
  // ---- Any thread; where the local APIC is the kernel's
  // Says so, if the guest has started this vCPU.
  void note_started();

  // ---- Whoever may touch the registers, with the lock
  // What these have asked for.
  void take(const Handover::Lock& lock);
  // Everything of the vCPU is as at power-on, in this state.
  enum class Role : std::uint8_t { Boots, Waits };
  Result<void> power_cycle(const Handover::Lock& lock, const x86::CpuState& state, Role role);
  // As at power-on. A processor that `boots` is alive and runs; the others wait.
  void reset(const Handover::Lock& lock, Role role);
  // The registers become these; what tells the boot processor from the others is added.
  Result<void> become(const x86::CpuState& state);

  // ---- The thread; where the local APIC is the kernel's
  // Until the guest has started this vCPU. False: the thread is to end.
  bool await();
  // A step of a vCPU that was started before and has got INIT: it has no instruction to step.
  void await_again();

 private:
  // Has the thread take what is asked for, or takes it where the vCPU is out of the guest.
  template <typename Ask>
  void ask(Ask ask);
  void take_init();
  void take_power(const Handover::Lock& lock);
  std::uint32_t take_start(const Handover::Lock& lock);
  void come_alive(const Handover::Lock& lock);

  VcpuCore& core_;
  Handover& handover_;
  EntryParts& parts_;
  const PowerOnState& power_on_;
  // Out of KVM_RUN, between INIT and the start-up IPI. Set under the lock.
  std::atomic<bool> asks_for_start_{false};
};

}  // namespace ringside::kvm
