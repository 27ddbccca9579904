// MSRs and time.
#include "engine/soft/cpu/msr.h"

#include <gtest/gtest.h>

#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
using x86::SegmentName;
namespace msr = x86::msr;
using Mode = TestCpu::Mode;

constexpr std::uint64_t kNonCanonical = 0x0100000000000000, kCanonicalTo57 = 0x00fedcba98765430;

TEST(Msr, UnknownOnesFault) {
  TestCpu cpu(Mode::Long64);
  cpu.rcx() = 0x12345;
  cpu.run("0f 32");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), 0u);
}

TEST(Msr, BasesMustBeCanonical) {
  TestCpu cpu(Mode::Long64);
  for (const std::uint32_t number :
       {msr::kFsBase, msr::kGsBase, msr::kKernelGsBase, msr::kLstar, msr::kSysenterEip}) {
    EXPECT_FALSE(write_msr(*cpu, number, kNonCanonical));
    EXPECT_FALSE(write_msr(*cpu, number, 0xfe00000000000000));
    EXPECT_TRUE(write_msr(*cpu, number, kCanonicalTo57));  // whatever CR4.LA57 says
    EXPECT_EQ(read_msr(*cpu, number), kCanonicalTo57);
    EXPECT_TRUE(write_msr(*cpu, number, 0xffff800000001234));
    EXPECT_EQ(read_msr(*cpu, number), 0xffff800000001234);
  }
}

TEST(Msr, TheTscFollowsItsAdjustment) {
  TestCpu cpu(Mode::Long64);
  cpu.board().time_base = 1000;
  EXPECT_EQ(read_msr(*cpu, msr::kTsc), 1000u);
  EXPECT_TRUE(write_msr(*cpu, msr::kTscDeadline, 5000));
  EXPECT_TRUE(write_msr(*cpu, msr::kTsc, 3000));
  EXPECT_EQ(read_msr(*cpu, msr::kTscAdjust), 2000u);
  EXPECT_EQ(read_msr(*cpu, msr::kTscDeadline), 5000u);
  EXPECT_EQ(cpu.platform.msrs[msr::kTscDeadline], 3000u);  // in virtual time
  cpu->tsc_aux = 7;
  cpu.run("0f 01 f9");
  EXPECT_EQ(cpu.rax(), 3000u);
  EXPECT_EQ(cpu.rcx(), 7u);
}

TEST(Msr, EferRefusesUnknownBits) {
  TestCpu cpu(Mode::Long64);
  EXPECT_FALSE(write_msr(*cpu, msr::kEfer, cpu->efer | 1u << 12));
  EXPECT_FALSE(write_msr(*cpu, msr::kPat, 2));
  EXPECT_FALSE(write_msr(*cpu, msr::kMtrrDefType, 0x402));
  EXPECT_TRUE(write_msr(*cpu, msr::kMtrrDefType, 0xc06));
}

TEST(Msr, TheApicsBaseIsAPhysicalAddress) {
  TestCpu cpu(Mode::Long64);
  for (const std::uint64_t base : {0xfffee00900ull, 0xfee00900ull}) {
    EXPECT_TRUE(write_msr(*cpu, msr::kApicBase, base));
    EXPECT_FALSE(write_msr(*cpu, msr::kApicBase, base | std::uint64_t{1} << kPhysicalAddressBits));
    EXPECT_EQ(read_msr(*cpu, msr::kApicBase), base);
  }
}

TEST(Msr, MiscEnableKeepsWhatSoftwareMaySet) {
  TestCpu cpu(Mode::Long64);
  using namespace misc_enable;
  EXPECT_EQ(read_msr(*cpu, msr::kMiscEnable), kReset);
  EXPECT_TRUE(write_msr(*cpu, msr::kMiscEnable, kLimitCpuid | kExecuteDisableOff));
  EXPECT_EQ(read_msr(*cpu, msr::kMiscEnable),
            (kReset & ~kFastStrings) | kLimitCpuid | kExecuteDisableOff);
  EXPECT_EQ(cpuid(*cpu, 0, 0).eax, 2u);
  EXPECT_EQ(cpuid(*cpu, 0x80000001, 0).edx & 1u << 20, 0u);
  EXPECT_FALSE(write_msr(*cpu, msr::kEfer, cpu->efer | x86::efer::NXE));
  cpu->reset(Cpu::ResetKind::Init);
  EXPECT_EQ(cpuid(*cpu, 0, 0).eax, 2u);
  EXPECT_TRUE(write_msr(*cpu, msr::kMiscEnable, kReset));
  EXPECT_GT(cpuid(*cpu, 0, 0).eax, 2u);
  EXPECT_NE(cpuid(*cpu, 0x80000001, 0).edx & 1u << 20, 0u);
}

TEST(Msr, RdtscObeysTsd) {
  TestCpu cpu(Mode::Long64);
  cpu->cr4 |= x86::cr4::TSD;
  cpu.run("0f 31");
  EXPECT_EQ(cpu.arrived(), -1);
  cpu.enter_user();
  cpu.run("0f 31");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(Msr, FsgsbaseNeedsItsBit) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 0x123456789;
  cpu.run("f3 48 0f ae d0");  // wrfsbase rax
  EXPECT_EQ(cpu.arrived(), 6);
  cpu->cr4 |= x86::cr4::FSGSBASE;
  cpu.rax() = 0x123456789;
  cpu.run("f3 48 0f ae d0 f3 48 0f ae c1", 2);
  EXPECT_EQ(cpu.rcx(), 0x123456789u);
  cpu.rax() = kCanonicalTo57;
  cpu.run("f3 48 0f ae d0 f3 48 0f ae c1", 2);
  EXPECT_EQ(cpu.rcx(), kCanonicalTo57);
  cpu.rax() = kNonCanonical;
  cpu.run("f3 48 0f ae d0");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(Msr, SwapgsSwaps) {
  TestCpu cpu(Mode::Long64);
  cpu->seg(SegmentName::Gs).base = 1;
  cpu->kernel_gs_base = 2;
  cpu.run("0f 01 f8");
  EXPECT_EQ(cpu->seg(SegmentName::Gs).base, 2u);
  EXPECT_EQ(cpu->kernel_gs_base, 1u);
}

}  // namespace
}  // namespace ringside::soft
