// In which modes a VEX prefix is one (SDM 2A 2.3): in real and virtual-8086 mode it is #UD, and in
// 16- and 32-bit code C4 and C5 are LES and LDS where the next byte is that of a memory operand.
// That results are right in code of each width the differential test shows (avx_scope_test.cc).
#include <gtest/gtest.h>

#include "engine/soft/state/xstate.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
namespace sel = testing::sel;
using Mode = TestCpu::Mode;

constexpr int kNone = -1, kInvalid = 6, kNotAvailable = 7, kProtection = 13;

// vaddps xmm0, xmm1, xmm1; vpaddb ymm0, ymm1, ymm1; vzeroupper; andn eax, ecx, edx;
// rorx eax, ecx, 1; vfmadd132ps xmm0, xmm1, xmm1; vmovd xmm0, eax
constexpr const char* kVex[] = {"c5 f0 58 c1",    "c5 f5 fc c1",       "c5 f8 77",
                                "c4 e2 70 f2 c2", "c4 e3 7b f0 c1 01", "c4 e2 71 98 c1",
                                "c5 f9 6e c0"};

void switch_on(TestCpu& cpu) {
  cpu.board().processor = Processor::V3;
  cpu->cr4 |= x86::cr4::OSFXSR | x86::cr4::OSXSAVE;
  cpu->xcr0 = xstate::kAll;
}
int arrival(TestCpu& cpu, std::string_view code) {
  cpu.run(code);
  return cpu.arrived();
}
void take_code_segment(TestCpu& cpu, std::uint16_t attributes) {
  cpu.descriptor(sel::kFree, TestCpu::make_descriptor(0, 0xfffff, attributes));
  x86::CpuState s = cpu->state();
  s.seg(x86::SegmentName::Cs) = cpu.from_gdt(sel::kFree);
  cpu->set_state(s);
}

TEST(VexModes, UndefinedInRealMode) {
  for (const std::uint64_t task_switched : {std::uint64_t{0}, x86::cr0::TS}) {  // comes after
    for (const char* code : kVex) {
      TestCpu cpu(Mode::Real);
      switch_on(cpu);
      cpu->cr0 |= task_switched;
      EXPECT_EQ(arrival(cpu, code), kInvalid) << code;
    }
  }
}

TEST(VexModes, UndefinedInVirtual8086Mode) {
  for (const char* code : kVex) {
    TestCpu cpu(Mode::Protected32);
    switch_on(cpu);
    cpu.enter_8086();
    EXPECT_EQ(arrival(cpu, code), kInvalid) << code;
  }
}

TEST(VexModes, ThereInProtectedModeAndCompatibilityModeOf16And32Bits) {
  for (const Mode mode : {Mode::Protected32, Mode::Long64}) {
    for (const std::uint16_t attributes : {0xc09b, 0x809b}) {
      for (const char* code : kVex) {
        TestCpu cpu(mode);
        switch_on(cpu);
        take_code_segment(cpu, attributes);
        ASSERT_FALSE(cpu->code64());
        EXPECT_EQ(arrival(cpu, code), kNone) << code << " " << attributes;
        EXPECT_NE(cpu->rip(), at::kCode);
      }
      TestCpu cpu(mode);
      switch_on(cpu);
      take_code_segment(cpu, attributes);
      cpu->cr0 |= x86::cr0::TS;
      EXPECT_EQ(arrival(cpu, "c5 f0 58 c1"), kNotAvailable);
      cpu->xcr0 = xstate::kX87 | xstate::kSse;
      EXPECT_EQ(arrival(cpu, "c5 f0 58 c1"), kInvalid);
    }
  }
}

// These prefixes before VEX are #UD (SDM 2A 2.3.2 to 2.3.4).
TEST(VexModes, NothingButSegmentsAndAddressSizesGoesBeforeIt) {
  for (const Mode mode : {Mode::Protected32, Mode::Long64}) {
    TestCpu cpu(mode);
    switch_on(cpu);
    for (const char* prefix : {"f0 ", "66 ", "f2 ", "f3 "})
      EXPECT_EQ(arrival(cpu, std::string(prefix) + "c5 f0 58 c1"), kInvalid) << prefix;
    for (const char* prefix : {"3e ", "67 "})
      EXPECT_EQ(arrival(cpu, std::string(prefix) + "c5 f0 58 c1"), kNone) << prefix;
  }
  TestCpu cpu(Mode::Long64);
  switch_on(cpu);
  EXPECT_EQ(arrival(cpu, "48 c5 f0 58 c1"), kInvalid);  // REX
}

TEST(VexModes, WithAMemoryOperandItIsAFarPointersLoad) {
  TestCpu real(Mode::Real);
  switch_on(real);
  real->reg(x86::Gpr::Rbx) = 0x100;
  real.put<std::uint32_t>(0x100, 0x12345678);
  EXPECT_EQ(arrival(real, "c5 07"), kNone);  // lds ax, [bx]
  EXPECT_EQ(real.rax() & 0xffff, 0x5678u);
  EXPECT_EQ(real.selector(x86::SegmentName::Ds), 0x1234);

  TestCpu narrow(Mode::Protected32);
  switch_on(narrow);
  narrow.put<std::uint32_t>(at::kData, 0x87654321);
  narrow.put<std::uint16_t>(at::kData + 4, sel::kData0);
  narrow->reg(x86::Gpr::Rdi) = at::kData;
  EXPECT_EQ(arrival(narrow, "c4 07"), kNone);  // les eax, [edi]
  EXPECT_EQ(narrow.rax(), 0x87654321u);
  EXPECT_EQ(narrow.selector(x86::SegmentName::Es), sel::kData0);
  narrow.put<std::uint16_t>(at::kData + 4, 0xfff8);
  EXPECT_EQ(arrival(narrow, "c4 07"), kProtection);
}

// Bits that choose among 16 registers choose among 8 there (SDM 2A 2.3.5, 2.3.8).
TEST(VexModes, EightRegistersOutsideOf64BitMode) {
  for (const Mode mode : {Mode::Protected32, Mode::Long64}) {
    TestCpu cpu(mode);
    switch_on(cpu);
    take_code_segment(cpu, 0xc09b);
    cpu->fpu.xmm[1].bytes.fill(1);
    cpu->fpu.xmm[9].bytes.fill(9);
    EXPECT_EQ(arrival(cpu, "c4 c1 71 fc c1"), kNone);  // vpaddb xmm0, xmm1, xmm9 in 64-bit code
    EXPECT_EQ(cpu->fpu.xmm[0].bytes[0], 2);
    EXPECT_EQ(arrival(cpu, "c4 e1 31 fc c1"), kNone);  // vpaddb xmm0, xmm9, xmm1
    EXPECT_EQ(cpu->fpu.xmm[0].bytes[0], 2);
  }
}

}  // namespace
}  // namespace ringside::soft
