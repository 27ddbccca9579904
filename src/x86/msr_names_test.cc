#include "x86/msr_names.h"

#include <gtest/gtest.h>

#include "ringside/x86/bits.h"
#include "x86/msr_numbers.h"

namespace ringside::x86 {
namespace {

TEST(MsrNames, AreInOrderAndFindTheirNumbers) {
  std::optional<std::uint32_t> last;
  for (const MsrName& msr : msr_names()) {
    EXPECT_TRUE(!last || *last < msr.number) << msr.name;
    last = msr.number;
    EXPECT_EQ(msr_by_name(msr.name), msr.number) << msr.name;
    EXPECT_EQ(name_of_msr(msr.number), msr.name);
  }
}

TEST(MsrNames, AreThoseOfTheRestOfTheProgram) {
  EXPECT_EQ(msr_by_name("IA32_EFER"), msr::kEfer);
  EXPECT_EQ(msr_by_name("IA32_PAT"), msr::kPat);
  EXPECT_EQ(msr_by_name("IA32_APIC_BASE"), msr::kApicBase);
  EXPECT_EQ(msr_by_name("IA32_MTRR_DEF_TYPE"), msr::kMtrrDefType);
  EXPECT_EQ(msr_by_name("IA32_TSC_DEADLINE"), msr::kTscDeadline);
  EXPECT_EQ(msr_by_name("IA32_KERNEL_GS_BASE"), msr::kKernelGsBase);
  EXPECT_EQ(name_of_msr(0x12345678), "");
}

// SDM 4 table 2-2, and 3A table 10-6: numbers by hand, apart from where the program has them.
TEST(MsrNames, AreThoseOfTheManual) {
  EXPECT_EQ(msr_by_name("IA32_APIC_BASE"), 0x1bu);
  EXPECT_EQ(msr_by_name("IA32_MTRR_PHYSMASK7"), 0x20fu);
  EXPECT_EQ(msr_by_name("IA32_MTRR_FIX16K_A0000"), 0x259u);
  EXPECT_EQ(msr_by_name("IA32_MTRR_FIX4K_F8000"), 0x26fu);
  EXPECT_EQ(msr_by_name("IA32_TSC_DEADLINE"), 0x6e0u);
  EXPECT_EQ(msr_by_name("IA32_X2APIC_APICID"), 0x802u);
  EXPECT_EQ(msr_by_name("IA32_X2APIC_ISR7"), 0x817u);
  EXPECT_EQ(msr_by_name("IA32_X2APIC_LVT_ERROR"), 0x837u);
  EXPECT_EQ(msr_by_name("IA32_X2APIC_SELF_IPI"), 0x83fu);
  EXPECT_EQ(msr_by_name("IA32_LSTAR"), 0xc0000082u);
  EXPECT_EQ(msr_by_name("IA32_TSC_AUX"), 0xc0000103u);
}

TEST(MsrNames, MayBeWrittenInOtherWays) {
  for (const char* name : {"EFER", "efer", "MSR_EFER", "ia32_Efer", "MSR_IA32_EFER"})
    EXPECT_EQ(msr_by_name(name), msr::kEfer) << name;
  EXPECT_EQ(msr_by_name("MSR_IA32_APICBASE"), msr::kApicBase);
  EXPECT_EQ(msr_by_name("tsc"), msr::kTsc);
  EXPECT_EQ(msr_by_name("sfmask"), msr::kSfmask);
  EXPECT_EQ(msr_by_name(""), std::nullopt);
  EXPECT_EQ(msr_by_name("IA32_"), std::nullopt);
}

}  // namespace
}  // namespace ringside::x86
