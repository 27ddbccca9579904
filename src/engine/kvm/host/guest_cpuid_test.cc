#include "engine/kvm/host/guest_cpuid.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringside::kvm {
namespace {

constexpr std::uint32_t kX2apic = 1u << 21, kTscDeadline = 1u << 24, kVmx = 1u << 5;

constexpr std::uint32_t kLa57 = 1u << 16;

kvm_cpuid_entry2 leaf_of(std::uint32_t function, ApicFeatures apic, const Facts& facts = {}) {
  std::vector<kvm_cpuid_entry2> supported(4);
  supported[0].function = 1;
  supported[0].ecx = kX2apic | kVmx;
  supported[1].function = 0xa;
  supported[1].eax = 0x07300402;
  supported[2].function = 7;
  supported[2].ecx = kLa57;
  supported[3].function = 0x80000008;
  supported[3].eax = 57u << 8 | 46;
  const auto leaves = guest_cpuid(supported, {1}, 2, 2'000'000, apic, facts);
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

// Seen with a KVM that interprets ring 0: its CR4 does not take the bit that it announces.
TEST(GuestCpuid, FiveLevelPagingIsAnnouncedWhereItWorks) {
  EXPECT_EQ(leaf_of(7, ApicFeatures::Kernel, {}).ecx, 0u);
  Facts facts;
  facts.five_level_paging = true;
  EXPECT_EQ(leaf_of(7, ApicFeatures::Kernel, facts).ecx, kLa57);
  EXPECT_EQ(leaf_of(0x80000008, ApicFeatures::Kernel, {}).eax, 48u << 8 | 46);
  EXPECT_EQ(leaf_of(0x80000008, ApicFeatures::Kernel, facts).eax, 57u << 8 | 46);
}

TEST(GuestCpuid, TheHypervisorLeavesTellTheRates) {
  const kvm_cpuid_entry2 rates = leaf_of(0x40000010, ApicFeatures::Kernel);
  EXPECT_EQ(rates.eax, 2'000'000u);
  EXPECT_EQ(rates.ebx, 1'000'000u);
}

}  // namespace
}  // namespace ringside::kvm
