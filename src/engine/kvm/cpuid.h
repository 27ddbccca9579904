// What CPUID tells the guest: what this host's KVM supports, less what needs an interrupt
// controller in the kernel, and with the same topology and the same hypervisor leaves as on the
// software CPU.
#pragma once

#include <linux/kvm.h>

#include <vector>

#include "base/types.h"

namespace ringside::kvm {

std::vector<kvm_cpuid_entry2> guest_cpuid(const std::vector<kvm_cpuid_entry2>& supported,
                                          VcpuId vcpu, unsigned vcpus, unsigned tsc_khz);

}  // namespace ringside::kvm
