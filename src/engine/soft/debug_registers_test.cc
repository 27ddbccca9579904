// The guest's own debug registers.
#include "engine/soft/debug_registers.h"

#include <gtest/gtest.h>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
namespace at = testing::at;
using Mode = TestCpu::Mode;

TEST(DebugRegisters, ReservedBitsReadAsFixed) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 0xffffffff;
  cpu.run("0f 23 f8 0f 23 f0", 2);  // mov dr7, rax; mov dr6, rax
  // GD was set by the first, so the second trapped.
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_NE(cpu->dr6 & x86::dr6::BD, 0u);
  EXPECT_EQ(cpu->dr7, 0xffff27ffu & ~x86::dr7::GD);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 3);
}

TEST(DebugRegisters, Dr4IsDr6UnlessDe) {
  TestCpu cpu(Mode::Long64);
  cpu.run("0f 21 e0");  // mov rax, dr4
  EXPECT_EQ(cpu.rax(), cpu->dr6);
  cpu->cr4 |= x86::cr4::DE;
  cpu.run("0f 21 e0");
  EXPECT_EQ(cpu.arrived(), 6);
}

// DR0 enabled with a condition and a length (SDM 3B figure 17-1).
void arm(TestCpu& cpu, std::uint64_t address, unsigned condition, unsigned length) {
  cpu->dr[0] = address;
  cpu->dr7 = x86::dr7::kReset | 1 | condition << 16 | length << 18;
  cpu->flush_tlb();
}

TEST(DebugRegisters, DataBreakpointsTrapAfterTheAccess) {
  struct Case {
    const char* bytes;
    unsigned condition;
    bool hit;
  };
  for (const Case& c : {Case{"8a 08", 3, true},
                        {"8a 08", 1, false},
                        {"88 08", 1, true},
                        {"88 08", 3, true},
                        {"48 89 48 f9", 1, true},
                        {"48 89 48 f8", 1, false}}) {
    TestCpu cpu(Mode::Long64);
    arm(cpu, at::kData, c.condition, 0);
    cpu.rax() = at::kData;
    cpu.code(c.bytes);
    run(*cpu, cpu->icount + 1);
    SCOPED_TRACE(c.bytes);
    EXPECT_EQ(cpu.arrived(), c.hit ? 1 : -1);
    EXPECT_EQ(cpu->dr6 & 15, c.hit ? 1u : 0u);
    if (c.hit) {
      EXPECT_GT(cpu.stack<std::uint64_t>(0), at::kCode);
    }
  }
}

TEST(DebugRegisters, InstructionBreakpointsFaultBeforeAndRfHoldsThemOff) {
  TestCpu cpu(Mode::Long64);
  arm(cpu, at::kCode + 1, 0, 0);
  cpu.code("48 cf", TestCpu::handler(1));  // iretq
  cpu.code("90 40 ff c0 90");              // nop; inc eax; nop
  run(*cpu, cpu->icount + 2);
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 1);
  EXPECT_EQ(cpu.rax(), 0u);
  EXPECT_EQ(cpu->dr6 & 15, 1u);
  // The handler sets RF in the frame and returns.
  cpu.put<std::uint64_t>(cpu.rsp() + 16, cpu.stack<std::uint64_t>(2) | x86::rflags::RF);
  run(*cpu, cpu->icount + 3);
  EXPECT_EQ(cpu->rip(), at::kCode + 5);
  EXPECT_EQ(cpu.rax(), 1u);
  EXPECT_FALSE(cpu->flags.rf());
}

TEST(DebugRegisters, PortBreakpointsNeedDe) {
  for (const bool de : {false, true}) {
    TestCpu cpu(Mode::Long64);
    if (de) cpu->cr4 |= x86::cr4::DE;
    arm(cpu, 0x60, 2, 0);
    cpu.code("e4 60");
    run(*cpu, cpu->icount + 1);
    EXPECT_EQ(cpu.arrived(), de ? 1 : -1);
  }
}

// B0 to B3 describe the last #DB alone, whatever its cause; the other bits stay (SDM 3B 17.2.3).
TEST(DebugRegisters, Dr6DescribesTheLastExceptionOnly) {
  constexpr std::uint64_t kStale = x86::dr6::kReset | 0xa | x86::dr6::BT;
  const auto after = [](const char* bytes, unsigned steps, std::uint64_t dr7, bool trap_flag) {
    TestCpu cpu(Mode::Long64);
    cpu->dr[2] = at::kData;
    cpu->dr[3] = at::kCode + 1;
    cpu->dr7 = x86::dr7::kReset | dr7;
    cpu->dr6 = kStale;
    cpu->flush_tlb();
    cpu->flags.set_system(x86::rflags::TF, trap_flag);
    cpu.rax() = at::kData;
    cpu.code(bytes);
    cpu.step(steps);
    EXPECT_EQ(cpu.arrived(), 1) << bytes;
    return cpu->dr6 ^ x86::dr6::kReset;
  };
  EXPECT_EQ(after("88 08", 1, 0x01000010, false), x86::dr6::BT | 4);  // a write
  EXPECT_EQ(after("90 90", 2, 0x40, false), x86::dr6::BT | 8);        // execution
  EXPECT_EQ(after("90", 1, 0, true), x86::dr6::BT | x86::dr6::BS);    // a step
  EXPECT_EQ(after("0f 21 d8", 1, x86::dr7::GD, false),
            x86::dr6::BT | x86::dr6::BD);  // mov rax, dr3
}

TEST(DebugRegisters, UpperHalvesAreReserved) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 1ull << 32;
  cpu.run("0f 23 f8");
  EXPECT_EQ(cpu.arrived(), 13);
}

}  // namespace
}  // namespace ringside::soft
