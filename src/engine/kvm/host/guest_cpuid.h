// What CPUID tells the guest: what this host's KVM supports, with the same topology and the same
// hypervisor leaves as on the software CPU.
#pragma once

#include <linux/kvm.h>

#include <vector>

#include "engine/kvm/host/probe.h"
#include "ringside/types.h"

namespace ringside::kvm {

enum class ApicFeatures : std::uint8_t {
  None,  // the local APICs are the machine's: less what KVM has only with its own
  Kernel,
  KernelWithTscDeadline,
};

// What KVM calls supported but does not do, by `facts`, is left out.
std::vector<kvm_cpuid_entry2> guest_cpuid(const std::vector<kvm_cpuid_entry2>& supported,
                                          VcpuId vcpu, unsigned vcpus, unsigned tsc_khz,
                                          ApicFeatures apic, const Facts& facts);

// What of it the engine goes by itself.
struct Identity {
  std::uint32_t signature = 0;  // EAX of leaf 1
  unsigned physical_address_bits =
      36;  // MAXPHYADDR; this much without leaf 80000008H (SDM 3A 4.1.4)
};
Identity identity_of(const std::vector<kvm_cpuid_entry2>& supported);

}  // namespace ringside::kvm
