#include "engine/kvm/cpuid.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringside::kvm {
namespace {

constexpr std::uint32_t kX2apic = 1u << 21, kTscDeadline = 1u << 24, kVmx = 1u << 5;

kvm_cpuid_entry2 leaf_of(std::uint32_t function, ApicFeatures apic) {
  std::vector<kvm_cpuid_entry2> supported(2);
  supported[0].function = 1;
  supported[0].ecx = kX2apic | kVmx;
  supported[1].function = 0xa;
  supported[1].eax = 0x07300402;
  const auto leaves = guest_cpuid(supported, {1}, 2, 2'000'000, apic);
  const auto found = std::find_if(leaves.begin(), leaves.end(),
                                  [&](const auto& leaf) { return leaf.function == function; });
  return found == leaves.end() ? kvm_cpuid_entry2{} : *found;
}

TEST(GuestCpuid, TheKernelsApicBringsItsFeatures) {
  EXPECT_EQ(leaf_of(1, ApicFeatures::None).ecx & (kX2apic | kTscDeadline | kVmx), 0u);
  EXPECT_EQ(leaf_of(1, ApicFeatures::Kernel).ecx & (kX2apic | kTscDeadline | kVmx), kX2apic);
  EXPECT_EQ(leaf_of(1, ApicFeatures::KernelWithTscDeadline).ecx & (kX2apic | kTscDeadline | kVmx),
            kX2apic | kTscDeadline);
  EXPECT_EQ(leaf_of(0xa, ApicFeatures::None).eax, 0u);
  EXPECT_EQ(leaf_of(0xa, ApicFeatures::Kernel).eax, 0x07300402u);
}

TEST(GuestCpuid, TheHypervisorLeavesTellTheRates) {
  const kvm_cpuid_entry2 rates = leaf_of(0x40000010, ApicFeatures::Kernel);
  EXPECT_EQ(rates.eax, 2'000'000u);
  EXPECT_EQ(rates.ebx, 1'000'000u);
}

}  // namespace
}  // namespace ringside::kvm
