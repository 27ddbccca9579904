// What KVM says that one vCPU does, where its local APIC is the kernel's (docs/decisions/0022): the
// vCPU is started and halted inside KVM_RUN, and only KVM_GET_MP_STATE tells. Owned by the vCPU;
// whoever may touch its registers.
#pragma once

#include <cstdint>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/passed_breakpoint.h"

namespace ringside::kvm {

class KernelActivity {
 public:
  KernelActivity(VcpuCore& core, PassedBreakpoint& passed) : core_(core), passed_(passed) {}

  // KVM_MP_STATE_ and what it is. Where INIT or a start-up IPI has come already, asking takes it.
  Result<std::uint32_t> get() const;
  Result<void> set(std::uint32_t state);
  // Asks, and forgets the registers, which INIT may have changed.
  Result<void> take_messages();
  // The thread, out of KVM_RUN: what the vCPU does is what KVM says.
  void note();
  // A debugger has a halted vCPU go on.
  Result<void> end_halt();

 private:
  VcpuCore& core_;
  PassedBreakpoint& passed_;
};

}  // namespace ringside::kvm
