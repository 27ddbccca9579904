// What KVM keeps of one vCPU beyond what a CpuState tells, as it is before the first instruction:
// the MSRs, the whole extended state of the FPU, and the local APIC where that is the kernel's. A
// copy, to be put back by a reset. Owned by the vCPU; while that is out of the guest, any thread.
#pragma once

#include <linux/kvm.h>

#include <memory>
#include <optional>
#include <vector>

#include "engine/kvm/host/api.h"
#include "engine/kvm/host/local_apic_page.h"

namespace ringside::kvm {

class PowerOnState {
 public:
  // Reads it from a vCPU that has not run yet.
  static Result<PowerOnState> take(const Fd& kvm, const Fd& vcpu, bool kernel_apic);
  // Before the registers are written: they are part of the extended state.
  Result<void> restore_fpu(const Fd& vcpu) const;
  // After them: the APIC's mode is one of them.
  Result<void> restore_rest(const Fd& vcpu) const;

 private:
  std::vector<kvm_msr_entry> msrs_;
  std::shared_ptr<const XsaveArea> extended_;  // null where KVM has none
  std::optional<LocalApicPage> apic_;
};

}  // namespace ringside::kvm
