// The guest's own debug registers.
#include "engine/soft/cpu/debug_registers.h"

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

// SDM 3A 6.8.3: after MOV SS and POP SS the next instruction is over before a #DB is delivered.
class StackLoad : public ::testing::Test {
 protected:
  // mov ss, [rax], whose operand DR0 watches, and what follows.
  void load_and(const std::string& next) {
    t_.put<std::uint16_t>(at::kData, testing::sel::kData0);
    arm(t_, at::kData, 3, 1);
    t_.rax() = at::kData;
    t_.code("8e 10 " + next + " 90 90");
    t_.step();
    EXPECT_EQ(t_->rip(), kNext) << next;
    EXPECT_EQ(t_->dr6, x86::dr6::kReset) << next;
  }
  static constexpr std::uint64_t kNext = at::kCode + 2;
  TestCpu t_{Mode::Long64};
};

TEST_F(StackLoad, HoldsAWatchpointBackForOneInstruction) {
  load_and("90");
  t_.step();
  EXPECT_EQ(t_.arrived(), 1);
  EXPECT_EQ(t_.stack<std::uint64_t>(0), kNext + 1);
  EXPECT_EQ(t_->dr6 & 0xf, 1u);
}

TEST_F(StackLoad, OneExceptionTellsOfBothInstructions) {
  t_->dr[1] = at::kData + 8;
  load_and("88 48 08");  // mov [rax + 8], cl
  t_->dr7 |= 4 | 1u << 20;
  t_->flush_tlb();
  t_->flags.set_system(x86::rflags::TF, true);
  t_.step();
  EXPECT_EQ(t_.arrived(), 1);
  EXPECT_EQ(t_->dr6 ^ x86::dr6::kReset, 3 | x86::dr6::BS);
}

TEST_F(StackLoad, Int1TakesThePlaceOfTheWatchpoint) {
  t_.code("90", TestCpu::handler(1));
  load_and("f1");
  t_.step();
  EXPECT_EQ(t_.arrived(), 1);
  EXPECT_EQ(t_.stack<std::uint64_t>(0), kNext + 1);
  EXPECT_EQ(t_->dr6 & 0xf, 0u);
  t_.step();  // and no second one
  EXPECT_EQ(t_->rip(), TestCpu::handler(1) + 1);
}

TEST_F(StackLoad, TheWatchpointComesAfterASoftwareInterruptsDelivery) {
  for (const auto& [bytes, vector] : {std::pair{"cc", 3u}, std::pair{"cd 40", 0x40u}}) {
    load_and(bytes);
    t_.step();
    EXPECT_EQ(t_.arrived(), 1) << bytes;
    EXPECT_EQ(t_.stack<std::uint64_t>(0), TestCpu::handler(vector)) << bytes;
    EXPECT_EQ(t_->dr6 & 0xf, 1u) << bytes;
    t_->dr6 = x86::dr6::kReset;
  }
}

TEST_F(StackLoad, AFaultLosesTheWatchpoint) {
  t_.code("90", TestCpu::handler(6));
  load_and("0f 0b");
  t_.step();
  EXPECT_EQ(t_.arrived(), 6);
  EXPECT_EQ(t_.stack<std::uint64_t>(0), kNext);
  t_.step();
  EXPECT_EQ(t_->rip(), TestCpu::handler(6) + 1);
  EXPECT_EQ(t_->dr6, x86::dr6::kReset);
}

TEST_F(StackLoad, NoExecutionBreakpointOnTheNextInstruction) {
  t_->dr[1] = kNext;
  t_->dr[2] = kNext + 1;
  load_and("90");
  t_->dr7 |= 4 | 16;  // both on execution
  t_.step();
  EXPECT_EQ(t_.arrived(), 1);
  EXPECT_EQ(t_.stack<std::uint64_t>(0), kNext + 1);
  EXPECT_EQ(t_->dr6 & 0xf, 1u);  // the watchpoint's, after the instruction
  t_.code("90", kNext + 1);
  t_.step();
  EXPECT_EQ(t_->dr6 & 0xf, 4u);  // the one behind it strikes
}

TEST(DebugRegisters, PopSsHoldsAWatchpointBackToo) {
  TestCpu cpu(Mode::Protected32);
  cpu->push<std::uint32_t>(testing::sel::kData0);
  arm(cpu, cpu.rsp(), 3, 3);
  cpu.code("17 90 90");
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu->rip(), at::kCode + 1);
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), at::kCode + 2);
  EXPECT_EQ(cpu->dr6 & 0xf, 1u);
}

// The debugger watches the same bytes as the guest: the guest's trap comes where it comes without
// the debugger.
TEST(DebugRegisters, ADebuggersStopInBetweenMovesNoTrap) {
  TestCpu cpu(Mode::Long64);
  arm(cpu, at::kData, 1, 0);
  cpu.board().watches.push_back({at::kData, 1, hypervisor::WatchKind::Write});
  cpu.rax() = at::kData;
  cpu.code("88 08 90");  // mov [rax], cl; nop
  run(*cpu, cpu->icount + 1);
  ASSERT_TRUE(cpu->pending_exit);
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  cpu->pending_exit.reset();
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 2);
  EXPECT_EQ(cpu->dr6 & 0xf, 1u);
}

TEST(DebugRegisters, UpperHalvesAreReserved) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 1ull << 32;
  cpu.run("0f 23 f8");
  EXPECT_EQ(cpu.arrived(), 13);
}

}  // namespace
}  // namespace ringside::soft
