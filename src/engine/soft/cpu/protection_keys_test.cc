// Protection keys of user pages: PKRU's instructions, and each access that it forbids (SDM 3A
// 4.6.2), with the error code that tells of it (4.7). No host of ours has them: the manual decides.
#include <gtest/gtest.h>

#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

constexpr int kNone = -1, kInvalid = 6, kProtection = 13, kPageFault = 14;
constexpr std::string_view kRdpkru = "0f 01 ee", kWrpkru = "0f 01 ef";
constexpr std::string_view kRead = "8a 07", kWrite = "88 07";  // by RDI
constexpr std::uint64_t kPage = at::kData;
constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4;
constexpr std::uint32_t kKey = 5, kNoAccess = 1u << (2 * kKey), kNoWrite = 2u << (2 * kKey);
constexpr std::uint64_t key(std::uint64_t number) { return number << 59; }

class ProtectionKeys : public ::testing::Test {
 protected:
  ProtectionKeys() {
    cpu_.board().processor = Processor::V3;
    cpu_.small_pages();
    x86::CpuState s = cpu_->state();
    s.cr4 |= x86::cr4::PKE | x86::cr4::OSFXSR | x86::cr4::OSXSAVE;
    s.xcr0 = xstate::kAll;
    s.reg(x86::Gpr::Rdi) = kPage;
    s.gpr[0] = s.gpr[1] = s.gpr[2] = 0;
    cpu_->set_state(s);
    map(kPresent | kWritable | kUser | key(kKey));
  }
  void map(std::uint64_t bits) {
    cpu_.put<std::uint64_t>(at::kPt + 8 * (kPage >> 12), kPage | bits);
    cpu_->flush_tlb();
  }
  // Runs it anew; the vector at which it arrived.
  int run(std::string_view code) {
    cpu_.run(code);
    return cpu_.arrived();
  }
  // By the instruction: what is known of the page is as a guest has it.
  int set_pkru(std::uint32_t value) {
    cpu_.rcx() = cpu_.rdx() = 0;
    cpu_.rax() = value;
    return run(kWrpkru);
  }
  // The error code of the page fault that comes of it, or nothing.
  std::optional<std::uint64_t> fault(std::string_view code) {
    const int vector = run(code);
    if (vector == kNone) return std::nullopt;
    EXPECT_EQ(vector, kPageFault) << code;
    EXPECT_EQ(cpu_->cr2, kPage);
    const auto error = cpu_.stack<std::uint64_t>(0);
    if (user_) cpu_.enter_user();
    return error;
  }
  void enter_user() {
    user_ = true;
    cpu_.enter_user();
  }

  TestCpu cpu_{Mode::Long64};
  bool user_ = false;
};

TEST_F(ProtectionKeys, RightsAreReadAndWritten) {
  cpu_.rcx() = cpu_.rdx() = 0xffffffff00000000;  // ECX and EDX are what counts
  cpu_.rax() = 0xffffffff12345678;
  EXPECT_EQ(run(kWrpkru), kNone);
  EXPECT_EQ(cpu_->pkru, 0x12345678u);
  cpu_.rdx() = ~std::uint64_t{0};
  EXPECT_EQ(run(kRdpkru), kNone);
  EXPECT_EQ(cpu_.rax(), 0x12345678u);
  EXPECT_EQ(cpu_.rdx(), 0u);
  cpu_.rcx() = 1;
  EXPECT_EQ(run(kRdpkru), kProtection);
  EXPECT_EQ(run(kWrpkru), kProtection);
  cpu_.rcx() = 0;
  cpu_.rdx() = 1;
  EXPECT_EQ(run(kWrpkru), kProtection);
  EXPECT_EQ(run(kRdpkru), kNone);
  EXPECT_EQ(cpu_->pkru, 0x12345678u);
}

TEST_F(ProtectionKeys, TheInstructionsAreUndefinedWithoutCr4) {
  cpu_->cr4 &= ~x86::cr4::PKE;
  cpu_.rcx() = 1;  // comes after
  EXPECT_EQ(run(kRdpkru), kInvalid);
  EXPECT_EQ(run(kWrpkru), kInvalid);
}

TEST_F(ProtectionKeys, TheInstructionsTakeNoPrefix) {
  for (const char* code : {"f0 0f 01 ee", "66 0f 01 ee", "f2 0f 01 ee", "f3 0f 01 ee",
                           "f0 0f 01 ef", "66 0f 01 ef", "f2 0f 01 ef", "f3 0f 01 ef"})
    EXPECT_EQ(run(code), kInvalid) << code;
}

TEST_F(ProtectionKeys, TheInstructionsAreThereAtEachPrivilegeAndInEachMode) {
  enter_user();
  EXPECT_EQ(set_pkru(kNoAccess), kNone);
  for (const Mode mode : {Mode::Real, Mode::Protected32}) {
    TestCpu cpu(mode);
    cpu.board().processor = Processor::V3;
    cpu->cr4 |= x86::cr4::PKE;
    cpu.rax() = 0x55555554;
    cpu.rcx() = cpu.rdx() = 0;
    cpu.run("0f 01 ef 31 c0 0f 01 ee", 3);
    EXPECT_EQ(cpu.arrived(), kNone);
    EXPECT_EQ(cpu.rax(), 0x55555554u);
  }
}

TEST_F(ProtectionKeys, CpuidTellsOfCr4) {
  EXPECT_EQ(cpuid(*cpu_, 7, 0).ecx >> 3 & 3, 3u);
  cpu_->cr4 &= ~x86::cr4::PKE;
  EXPECT_EQ(cpuid(*cpu_, 7, 0).ecx >> 3 & 3, 1u);
}

TEST_F(ProtectionKeys, UserAccesses) {
  enter_user();
  EXPECT_EQ(fault(kRead), std::nullopt);
  EXPECT_EQ(fault(kWrite), std::nullopt);
  set_pkru(kNoAccess);
  EXPECT_EQ(fault(kRead), 0x25u);
  EXPECT_EQ(fault(kWrite), 0x27u);
  set_pkru(kNoWrite);
  EXPECT_EQ(fault(kRead), std::nullopt);
  EXPECT_EQ(fault(kWrite), 0x27u);
  cpu_->cr0 &= ~x86::cr0::WP;  // does not matter to them
  cpu_->flush_tlb();
  EXPECT_EQ(fault(kWrite), 0x27u);
  set_pkru(~(kNoAccess | kNoWrite));  // of all other keys
  EXPECT_EQ(fault(kWrite), std::nullopt);
}

TEST_F(ProtectionKeys, SupervisorAccessesToUserPages) {
  for (const bool protect : {true, false}) {
    protect ? cpu_->cr0 |= x86::cr0::WP : cpu_->cr0 &= ~x86::cr0::WP;
    cpu_->flush_tlb();
    set_pkru(kNoAccess);
    EXPECT_EQ(fault(kRead), 0x21u);
    EXPECT_EQ(fault(kWrite), 0x23u);
    set_pkru(kNoWrite);
    EXPECT_EQ(fault(kRead), std::nullopt);
    EXPECT_EQ(fault(kWrite), protect ? std::optional<std::uint64_t>(0x23) : std::nullopt);
  }
}

TEST_F(ProtectionKeys, DoNotMatterToSupervisorPages) {
  map(kPresent | kWritable | key(kKey));
  set_pkru(kNoAccess | kNoWrite);
  EXPECT_EQ(fault(kRead), std::nullopt);
  EXPECT_EQ(fault(kWrite), std::nullopt);
}

TEST_F(ProtectionKeys, DoNotMatterToFetches) {
  enter_user();
  set_pkru(kNoAccess | kNoWrite);
  cpu_.code("90", kPage);
  cpu_.step();
  EXPECT_EQ(cpu_.arrived(), kNone);
  EXPECT_EQ(cpu_->rip(), kPage + 1);
}

TEST_F(ProtectionKeys, EachKeyHasItsTwoBits) {
  enter_user();
  for (std::uint32_t number = 0; number < 16; ++number) {
    for (std::uint32_t forbidden = 1; forbidden < 16; ++forbidden) {
      map(kPresent | kWritable | kUser | key(number));
      set_pkru(1u << (2 * forbidden));
      EXPECT_EQ(fault(kRead).has_value(), number == forbidden) << number;
    }
  }
}

// Bit 5 of the error code says what the rights are, whatever else forbids the access too.
TEST_F(ProtectionKeys, TheErrorCodeTellsOfThemBesideOtherReasons) {
  map(kPresent | kUser | key(kKey));
  enter_user();
  EXPECT_EQ(fault(kWrite), 0x07u);
  set_pkru(kNoAccess);
  EXPECT_EQ(fault(kWrite), 0x27u);
  map(kWritable | kUser | key(kKey));  // not present: no key
  EXPECT_EQ(fault(kWrite), 0x06u);
}

TEST_F(ProtectionKeys, AndOfSmap) {
  for (std::uint64_t page = 0; page < 512; ++page)  // the kernel's, with its stack
    cpu_.put<std::uint64_t>(at::kPt + 8 * page, page << 12 | kPresent | kWritable);
  cpu_->cr4 |= x86::cr4::SMAP;
  map(kPresent | kWritable | kUser | key(kKey));
  EXPECT_EQ(fault(kRead), 0x01u);
  set_pkru(kNoAccess);
  EXPECT_EQ(fault(kRead), 0x21u);
  cpu_->flags.set_value(cpu_->flags.value() | x86::rflags::AC);
  cpu_->update_mode();
  EXPECT_EQ(fault(kRead), 0x21u);
}

TEST_F(ProtectionKeys, OfPagesOf2MiB) {
  enter_user();
  cpu_.put<std::uint64_t>(at::kPd, 0x87 | key(kKey));
  cpu_->flush_tlb();
  EXPECT_EQ(fault(kRead), std::nullopt);
  set_pkru(kNoWrite);  // the handler's stack has the key too
  EXPECT_EQ(fault(kRead), std::nullopt);
  cpu_->cr0 &= ~x86::cr0::WP;
  cpu_->flush_tlb();
  EXPECT_EQ(fault(kWrite), 0x27u);
}

// What is known of a page from before does not outlive a right.
TEST_F(ProtectionKeys, AChangeCountsAtOnce) {
  enter_user();
  for (unsigned round = 0; round < 3; ++round) {
    EXPECT_EQ(fault(kWrite), std::nullopt);
    EXPECT_EQ(fault(kRead), std::nullopt);
    set_pkru(kNoWrite);
    EXPECT_EQ(fault(kRead), std::nullopt);
    EXPECT_EQ(fault(kWrite), 0x27u);
    set_pkru(kNoAccess);
    EXPECT_EQ(fault(kRead), 0x25u);
    set_pkru(0);
  }
}

TEST_F(ProtectionKeys, AChangeByXrstorToo) {
  constexpr std::uint64_t kArea = at::kData + 0x2000;
  cpu_.put<std::uint64_t>(kArea + 512, xstate::kPkru);
  cpu_.put<std::uint32_t>(kArea + xstate::kPkruPlace, kNoAccess);
  EXPECT_EQ(fault(kRead), std::nullopt);
  cpu_->reg(x86::Gpr::Rsi) = kArea;
  cpu_.rax() = xstate::kPkru;
  EXPECT_EQ(run("0f ae 2e"), kNone);
  EXPECT_EQ(cpu_->pkru, kNoAccess);
  EXPECT_EQ(fault(kRead), 0x21u);
}

TEST_F(ProtectionKeys, SwitchedOnAndOffByCr4) {
  cpu_->set_pkru(kNoAccess);
  const std::uint64_t on = cpu_->cr4;
  const auto set = [&](std::uint64_t value) {
    cpu_.rax() = value;
    EXPECT_EQ(run("0f 22 e0"), kNone);
  };
  for (unsigned round = 0; round < 2; ++round) {
    set(on & ~x86::cr4::PKE);
    EXPECT_EQ(fault(kRead), std::nullopt);
    set(on);
    EXPECT_EQ(fault(kRead), 0x21u);
  }
}

// Both halves of an access that goes over a page's end.
TEST_F(ProtectionKeys, AcrossPages) {
  set_pkru(kNoWrite);
  cpu_->reg(x86::Gpr::Rdi) = kPage - 4;
  cpu_.put<std::uint64_t>(kPage - 4, 0);
  cpu_.rax() = ~std::uint64_t{0};
  EXPECT_EQ(run("48 8b 07"), kNone);
  cpu_.rax() = ~std::uint64_t{0};
  EXPECT_EQ(run("48 89 07"), kPageFault);
  EXPECT_EQ(cpu_->cr2, kPage);
  EXPECT_EQ(cpu_.get<std::uint64_t>(kPage - 4), 0u);
}

TEST_F(ProtectionKeys, InitKeepsThemAndPowerOnClears) {
  cpu_->set_pkru(3);
  cpu_->reset(Cpu::ResetKind::Init);
  EXPECT_EQ(cpu_->pkru, 3u);
  cpu_->reset(Cpu::ResetKind::PowerOn);
  EXPECT_EQ(cpu_->pkru, 0u);
}

}  // namespace
}  // namespace ringside::soft
