// How one vCPU is started: by the engine, or by INIT and a start-up IPI from another one, which the
// machine's local APICs report, or which the kernel's keep to themselves until they are asked
// (docs/decisions/0022). Owned by the vCPU.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/kvm/entry/parts.h"

namespace ringside::kvm {

class StartUp {
 public:
  explicit StartUp(EntryParts& parts)
      : core_(parts.core), handover_(parts.handover), parts_(parts) {}

  // ---- Any thread; the machine's local APICs report
  void init();
  void start_up(std::uint8_t vector);
  // ---- Any thread; where the local APIC is the kernel's
  // Says so, if the guest has started this vCPU.
  void note_started();

  // ---- Whoever may touch the registers, with the lock
  // What init() and start_up() have asked for.
  void take(const Handover::Lock& lock);
  // As at power-on. A processor that `boots` is alive and runs; the others wait.
  enum class Role : std::uint8_t { Boots, Waits };
  void reset(const Handover::Lock& lock, Role role);
  // The registers become these; what tells the boot processor from the others is added.
  Result<void> become(const x86::CpuState& state);

  // ---- The thread; where the local APIC is the kernel's
  // Until the guest has started this vCPU. False: the thread is to end.
  bool await();
  // A step of a vCPU that was started before and has got INIT: it has no instruction to step.
  void await_again();

 private:
  void take_init();
  std::uint32_t take_start(const Handover::Lock& lock);
  void come_alive(const Handover::Lock& lock);

  VcpuCore& core_;
  Handover& handover_;
  EntryParts& parts_;
  // Out of KVM_RUN, between INIT and the start-up IPI. Set under the lock.
  std::atomic<bool> asks_for_start_{false};
};

}  // namespace ringside::kvm
