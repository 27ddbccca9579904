// Near branches where the differential test cannot look: privileges, limits, counters.
#include <gtest/gtest.h>

#include "engine/soft/decode/lower.h"
#include "engine/soft/instructions/instructions.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

constexpr std::uint64_t kNonCanonical = 0x0000800000000000;
constexpr int kGeneralProtection = 13;

// The return address in the frame of a fault with an error code.
std::uint64_t faulting_rip(TestCpu& cpu) { return cpu.stack<std::uint64_t>(1); }
std::uint64_t interrupted_rsp(TestCpu& cpu) { return cpu.stack<std::uint64_t>(4); }

TEST(NearBranch, ANonCanonicalTargetFaultsBeforeAnythingChanges) {
  for (const char* bytes : {"ff e0", "ff d0", "c3", "c2 10 00"}) {  // jmp, call rax; ret; ret 16
    TestCpu cpu(Mode::Long64);
    cpu.rax() = kNonCanonical;
    cpu.put<std::uint64_t>(at::kStack, kNonCanonical);
    cpu.put<std::uint64_t>(at::kStack - 8, 0x1122334455667788);
    cpu.rsp() = at::kStack;
    cpu.run(bytes);
    EXPECT_EQ(cpu.arrived(), kGeneralProtection) << bytes;
    EXPECT_EQ(faulting_rip(cpu), at::kCode) << bytes;
    EXPECT_EQ(interrupted_rsp(cpu), at::kStack) << bytes;
  }
}

TEST(NearBranch, ARelativeJumpOutOfTheCanonicalHalfFaults) {
  TestCpu cpu(Mode::Long64);
  // Executed by hand: the code would have to lie at the end of the lower half.
  cpu->rip() = 0x00007ffffffffffe;
  const std::uint8_t bytes[] = {0xeb, 0x10};
  const Insn insn = decode(bytes, Width::Bits64);
  EXPECT_THROW(insn.execute(*cpu, insn), GuestFault);
  EXPECT_EQ(cpu->rip(), 0x00007ffffffffffeu);
}

TEST(NearBranch, A57BitTargetIsCanonicalOnlyWithLa57) {
  TestCpu cpu(Mode::Long64);
  const std::uint8_t bytes[] = {0xff, 0xe0};
  const Insn insn = decode(bytes, Width::Bits64);
  cpu.rax() = 0x0000800000000000;
  EXPECT_THROW(insn.execute(*cpu, insn), GuestFault);
  cpu->cr4 |= x86::cr4::LA57;
  cpu->update_mode();
  insn.execute(*cpu, insn);
  EXPECT_EQ(cpu->rip(), 0x0000800000000000u);
}

TEST(NearBranch, BeyondTheSegmentLimitIsGp) {
  for (const char* bytes : {"e9 00 00 01 00", "e8 00 00 01 00", "ff e0", "ff d0", "c3"}) {
    TestCpu cpu(Mode::Protected32);
    cpu->seg(x86::SegmentName::Cs).limit = at::kHandlers + 0xfff;
    cpu.rax() = at::kHandlers + 0x1000;
    cpu.put<std::uint32_t>(at::kStack, at::kHandlers + 0x1000);
    cpu.code(bytes);
    if (bytes[0] == 'e') {  // relative: from the handlers' page to beyond it
      cpu.code(bytes, at::kHandlers + 0xf00);
    }
    const std::uint64_t start = cpu->rip();
    cpu.step();
    EXPECT_EQ(cpu.arrived(), kGeneralProtection) << bytes;
    EXPECT_EQ(cpu.stack<std::uint32_t>(1), start) << bytes;
    EXPECT_EQ(cpu->rsp(), at::kStack - 16) << bytes;  // the frame alone
  }
}

TEST(NearBranch, AnOperandSizePrefixCutsTheTargetInLegacyCode) {
  TestCpu cpu(Mode::Protected32);
  cpu.run("66 eb 10");
  EXPECT_EQ(cpu->rip(), (at::kCode + 3 + 0x10) & 0xffff);
  cpu.run("66 e8 10 00");  // pushes two bytes
  EXPECT_EQ(cpu->rsp(), at::kStack - 2);
  EXPECT_EQ(cpu->rip(), (at::kCode + 4 + 0x10) & 0xffff);
}

TEST(NearBranch, AnOperandSizePrefixDoesNothingIn64BitCode) {
  TestCpu cpu(Mode::Long64);
  cpu.run("66 e8 10 00 00 00");
  EXPECT_EQ(cpu->rip(), at::kCode + 6 + 0x10);
  EXPECT_EQ(cpu->rsp(), at::kStack - 8);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 6);
}

TEST(NearBranch, TheCounterHasTheAddressSize) {
  TestCpu cpu(Mode::Long64);
  cpu.rcx() = 0x500000001;
  cpu.run("67 e2 10");  // loop with ECX: not taken, and the upper half goes
  EXPECT_EQ(cpu.rcx(), 0u);
  EXPECT_EQ(cpu->rip(), at::kCode + 3);
  cpu.rcx() = 0x500000000;
  cpu.run("67 e3 10");  // jecxz
  EXPECT_EQ(cpu->rip(), at::kCode + 3 + 0x10);
  cpu.run("e3 10");  // jrcxz
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
}

TEST(NearBranch, ACallThatCannotPushChangesNothing) {
  TestCpu cpu(Mode::Long64);
  cpu.small_pages();
  cpu.unmap(0x50000);
  cpu.enter_user();
  cpu.rsp() = 0x50008;
  for (unsigned i = 0; i < 512; ++i) {
    if (i != 0x50) cpu.put<std::uint64_t>(at::kPt + 8 * i, std::uint64_t{i} << 12 | 7);
  }
  cpu.run("e8 10 00 00 00");
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(faulting_rip(cpu), at::kCode);
  EXPECT_EQ(interrupted_rsp(cpu), 0x50008u);
}

}  // namespace
}  // namespace ringside::soft
