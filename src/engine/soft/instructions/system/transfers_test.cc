// Far transfers, IRET, fast system calls, segment loads, software breakpoints and shadows.
#include <gtest/gtest.h>

#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using testing::TestCpu;
using x86::SegmentName;
namespace at = testing::at;
namespace sel = testing::sel;
namespace type = x86::system_type;
namespace exit = hypervisor::exit;
using Mode = TestCpu::Mode;

constexpr std::uint64_t kNonCanonical = 0x0000800000000000;

// Error code of the fault that has just been delivered from the same privilege in 64-bit mode.
std::uint64_t error_code(TestCpu& cpu) { return cpu.stack<std::uint64_t>(0); }

// ---- Software breakpoints

TEST(Int3, IsInterceptedWithItsLength) {
  for (const auto& [bytes, length] : {std::pair{"cc", 1}, {"f3 cc", 2}, {"66 48 cc", 3}}) {
    TestCpu cpu(Mode::Long64);
    cpu->breakpoint_exit = true;
    const std::uint64_t before = cpu->icount;
    cpu.run(bytes);
    ASSERT_TRUE(cpu->pending_exit) << bytes;
    EXPECT_EQ(std::get<exit::Breakpoint>(*cpu->pending_exit).insn_length, length);
    EXPECT_EQ(cpu->rip(), at::kCode);
    EXPECT_EQ(cpu->icount, before);
    EXPECT_EQ(cpu.rsp(), at::kStack);
  }
}

TEST(Int3, IntThreeAndInt1AreTheGuestsOwn) {
  TestCpu cpu(Mode::Long64);
  cpu->breakpoint_exit = true;
  cpu.run("cd 03");
  EXPECT_FALSE(cpu->pending_exit);
  EXPECT_EQ(cpu.arrived(), 3);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 2);
  cpu.run("f1");
  EXPECT_FALSE(cpu->pending_exit);
  EXPECT_EQ(cpu.arrived(), 1);
}

TEST(Int3, InjectedItReturnsBehindTheInstruction) {
  TestCpu cpu(Mode::Long64);
  cpu->injected = x86::Exception{x86::Vector::Breakpoint, std::nullopt, 0};
  cpu->entry_insn_length = 2;
  cpu.run("f3 cc");
  EXPECT_EQ(cpu.arrived(), 3);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 2);
  EXPECT_EQ(cpu->entry_insn_length, 1);
}

TEST(Int3, AFaultInItsDeliveryPointsAtIt) {
  TestCpu cpu(Mode::Long64);
  cpu.no_gate(3);
  cpu->injected = x86::Exception{x86::Vector::Breakpoint, std::nullopt, 0};
  cpu.run("cc");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(error_code(cpu), 3u * 8 + 2);
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), at::kCode);
}

// ---- TF and shadows

TEST(TrapFlag, TrapsAfterTheInstructionThatFollowsPopf) {
  TestCpu cpu(Mode::Long64);
  cpu.code("68 02 01 00 00 9d 90 90");  // push 0x102; popf; nop; nop
  cpu.step(2);
  EXPECT_EQ(cpu->rip(), at::kCode + 6);
  cpu.step();
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 7);
  EXPECT_NE(cpu->dr6 & x86::dr6::BS, 0u);
  EXPECT_NE(cpu.stack<std::uint64_t>(2) & x86::rflags::TF, 0u);
}

TEST(TrapFlag, MovSsHoldsItBackForOneInstruction) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = sel::kData0;
  cpu->flags.set_system(x86::rflags::TF, true);
  cpu.code("8e d0 90 90");
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  cpu.step();
  EXPECT_EQ(cpu.arrived(), 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 3);
}

TEST(TrapFlag, IsLostInAnInterruptAndASyscall) {
  TestCpu cpu(Mode::Long64);
  cpu->flags.set_system(x86::rflags::TF, true);
  cpu.run("cd 80");
  EXPECT_EQ(cpu.arrived(), 0x80);

  TestCpu call(Mode::Long64);
  call->star = std::uint64_t{sel::kCode0} << 32;
  call->lstar = TestCpu::handler(0x81);
  call->sfmask = x86::rflags::TF;
  call->flags.set_system(x86::rflags::TF, true);
  call.run("0f 05");
  EXPECT_EQ(call.arrived(), 0x81);
}

TEST(Shadow, MovSsHoldsInterruptsBack) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.vector = 0x40;
  cpu->interrupt_pin = true;
  cpu.rax() = sel::kData0;
  cpu.code("8e d0 8e d0 90");  // a second one in a row counts no longer
  cpu->flags.set_value(2);
  run(*cpu, cpu->icount + 1);
  cpu->flags.set_system(x86::rflags::IF, true);
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu->rip(), at::kCode + 4);
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 4);
}

// How many instructions of `bytes` are executed before the interrupt that is waiting.
unsigned executed_before_interrupt(std::string_view bytes, bool enabled) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.vector = 0x40;
  cpu.rax() = sel::kData0;
  cpu.code(bytes);
  cpu->flags.set_system(x86::rflags::IF, enabled);
  for (unsigned count = 0; count < 10; ++count) {
    cpu.step();
    if (cpu.arrived() == 0x40) return count;
    cpu->interrupt_pin = true;
  }
  return 99;
}

// SDM 2B STI, 3A 6.8.3: the exemption is for repeated loads of SS alone.
TEST(Shadow, StiAndMovSsEachShadowTheNextInstruction) {
  constexpr std::string_view kStiFirst = "fb 8e d0 90 90", kLoadFirst = "8e d0 fb 90 90",
                             kTwoLoads = "8e d0 8e d0 90 90", kStiTwice = "fb fb 90 90";
  EXPECT_EQ(executed_before_interrupt(kStiFirst, false), 3u);
  EXPECT_EQ(executed_before_interrupt(kLoadFirst, false), 3u);
  EXPECT_EQ(executed_before_interrupt(kLoadFirst, true), 2u);  // STI has nothing to set
  EXPECT_EQ(executed_before_interrupt(kTwoLoads, true), 2u);
  EXPECT_EQ(executed_before_interrupt(kStiTwice, false), 2u);
}

TEST(Shadow, StiThenHltSleepsUntilTheInterrupt) {
  TestCpu cpu(Mode::Long64);
  cpu.platform.vector = 0x40;
  cpu.code("fb f4 90");
  run(*cpu, cpu->icount + 10);
  EXPECT_EQ(cpu->activity, Activity::Halted);
  EXPECT_FALSE(can_wake(*cpu));
  cpu->interrupt_pin = true;
  EXPECT_TRUE(can_wake(*cpu));
  run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu->activity, Activity::Running);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 2);
}

// ---- IRET

void push_frame(TestCpu& cpu, std::uint64_t rip, std::uint64_t cs, std::uint64_t flags,
                std::uint64_t rsp, std::uint64_t ss) {
  for (const std::uint64_t value : {ss, rsp, flags, cs, rip})
    cpu->push<std::uint64_t>(value);
}

TEST(Iret, ToRing3DropsSegmentsAndTakesTheStack) {
  TestCpu cpu(Mode::Long64);
  push_frame(cpu, 0x1234, sel::kCode3, 0x3202, 0x5678, sel::kData3);
  cpu->nmi_blocked = true;
  cpu.run("48 cf");
  EXPECT_EQ(cpu->rip(), 0x1234u);
  EXPECT_EQ(cpu->cpl(), 3u);
  EXPECT_EQ(cpu.rsp(), 0x5678u);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), sel::kData3);
  EXPECT_EQ(cpu.selector(SegmentName::Ds), 0);  // was a ring-0 segment
  EXPECT_EQ(cpu->flags.iopl(), 3u);
  EXPECT_FALSE(cpu->nmi_blocked);
  EXPECT_EQ(cpu->privilege(), Privilege::User);
}

TEST(Iret, Checks64BitFrames) {
  struct Case {
    std::uint64_t rip, cs, flags, rsp, ss;
    int vector;
    std::uint64_t error;
  };
  const Case cases[] = {
      {0x1234, 0, 2, 0x5678, sel::kData0, 13, 0},
      {kNonCanonical, sel::kCode3, 2, 0x5678, sel::kData3, 13, 0},
      {0x1234, sel::kData0, 2, 0x5678, sel::kData0, 13, sel::kData0},
      {0x1234, sel::kCode3, 2, 0x5678, 3, 13, 0},                      // null SS in ring 3
      {0x1234, sel::kCode3, 2, 0x5678, sel::kData0, 13, sel::kData0},  // SS.RPL
      {0x1234, sel::kCode0, 2, 0x5678, sel::kCode0, 13, sel::kCode0},  // SS is code
      {0x1234, sel::kCode0 | 3, 2, 0x5678, sel::kData3, 13, sel::kCode0},
      {0x1234, 0xff8, 2, 0x5678, sel::kData0, 13, 0xff8},
  };
  for (const Case& c : cases) {
    TestCpu cpu(Mode::Long64);
    push_frame(cpu, c.rip, c.cs, c.flags, c.rsp, c.ss);
    const std::uint64_t rsp = cpu.rsp();
    cpu.run("48 cf");
    SCOPED_TRACE(&c - cases);
    EXPECT_EQ(cpu.arrived(), c.vector);
    EXPECT_EQ(error_code(cpu), c.error);
    EXPECT_EQ(cpu.stack<std::uint64_t>(4), rsp);  // restartable: nothing was popped
    EXPECT_EQ(cpu->cpl(), 0u);
  }
}

TEST(Iret, ToRing0In64BitModeTakesTheStackToo) {
  TestCpu cpu(Mode::Long64);
  push_frame(cpu, 0x1234, sel::kCode0, 2, 0x5678, 0);  // a null SS is fine here
  cpu.run("48 cf");
  EXPECT_EQ(cpu->rip(), 0x1234u);
  EXPECT_EQ(cpu.rsp(), 0x5678u);
  EXPECT_TRUE(cpu->seg(SegmentName::Ss).unusable());
}

TEST(Iret, NestedTasksAreRefusedInLongMode) {
  TestCpu cpu(Mode::Long64);
  push_frame(cpu, 0x1234, sel::kCode0, 2, 0x5678, 0);
  cpu->flags.set_system(x86::rflags::NT, true);
  cpu.run("48 cf");
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST(Iret, ToCompatibilityCode) {
  TestCpu cpu(Mode::Long64);
  push_frame(cpu, 0x1234, sel::kCode32User, 2, 0x5678, sel::kData3);
  cpu.run("48 cf");
  EXPECT_EQ(cpu->code_width(), Width::Bits32);
  EXPECT_EQ(cpu->stack_width(), Width::Bits32);
  EXPECT_EQ(cpu->rip(), 0x1234u);
}

TEST(Iret, Ring3CannotRaiseItsPrivilege) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  push_frame(cpu, 0x1234, sel::kCode0, 2, 0x5678, sel::kData0);
  cpu.run("48 cf");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(error_code(cpu), sel::kCode0);

  TestCpu flags(Mode::Long64);
  flags.enter_user();
  push_frame(flags, 0x1234, sel::kCode3, 0x3202, 0x5678, sel::kData3);
  flags.run("48 cf");
  EXPECT_EQ(flags->rip(), 0x1234u);
  EXPECT_EQ(flags->flags.iopl(), 0u);
  EXPECT_FALSE(flags->flags.interrupts());
}

// ---- POPF

TEST(Popf, ChangesWhatThePrivilegeAllows) {
  constexpr std::uint64_t kAll = 0x3f7fd7;
  const auto popped = [](unsigned cpl, unsigned iopl) {
    TestCpu cpu(Mode::Long64);
    if (cpl == 3) cpu.enter_user();
    cpu->flags.set_value(2 | std::uint64_t{iopl} << 12);
    cpu->push<std::uint64_t>(kAll & ~x86::rflags::TF);
    cpu.run("9d");
    return cpu->flags.value();
  };
  // No TF (not asked), RF, VM, VIF or VIP.
  EXPECT_EQ(popped(0, 0), 0x247ed7u);
  EXPECT_EQ(popped(3, 0), 0x244cd7u);
  EXPECT_EQ(popped(3, 3), 0x247ed7u);
}

TEST(Popf, Pushf16LeavesTheRest) {
  TestCpu cpu(Mode::Long64);
  cpu->flags.set_value(2 | x86::rflags::ID | x86::rflags::AC);
  cpu->push<std::uint16_t>(0);
  cpu.run("66 9d");
  EXPECT_EQ(cpu->flags.value(), 2 | x86::rflags::ID | x86::rflags::AC);
}

TEST(InterruptFlag, CliAndStiObeyIopl) {
  TestCpu cpu(Mode::Long64);
  cpu.enter_user();
  cpu.run("fa");
  EXPECT_EQ(cpu.arrived(), 13);

  TestCpu allowed(Mode::Long64);
  allowed.enter_user();
  allowed->flags.set_value(0x3202);
  allowed.run("fa");
  EXPECT_FALSE(allowed->flags.interrupts());
  EXPECT_EQ(allowed->rip(), at::kCode + 1);
}

// ---- SYSCALL and friends

void set_star(TestCpu& cpu) {
  cpu->star = std::uint64_t{sel::kCode32User} << 48 | std::uint64_t{sel::kCode0} << 32;
  cpu->lstar = TestCpu::handler(0x90);
  cpu->sfmask = x86::rflags::IF | x86::rflags::AC;
}

TEST(Syscall, ThereAndBack) {
  TestCpu cpu(Mode::Long64);
  set_star(cpu);
  cpu.enter_user();
  cpu->flags.set_value(0x202 | x86::rflags::AC);
  cpu.run("0f 05");
  EXPECT_EQ(cpu.arrived(), 0x90);
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu.rcx(), at::kCode + 2);
  EXPECT_EQ(cpu->reg(x86::Gpr::R11), 0x202 | x86::rflags::AC);
  EXPECT_EQ(cpu->flags.value(), 2u);
  EXPECT_EQ(cpu.selector(SegmentName::Cs), sel::kCode0);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), sel::kData0);
  EXPECT_EQ(cpu.rsp(), at::kStack3);
  cpu.code("48 0f 07", TestCpu::handler(0x90));
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode + 2);
  EXPECT_EQ(cpu->cpl(), 3u);
  EXPECT_EQ(cpu->flags.value(), 0x202 | x86::rflags::AC);
  EXPECT_EQ(cpu.selector(SegmentName::Cs), sel::kCode3);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), sel::kData3);
  EXPECT_TRUE(cpu->code64());
}

TEST(Syscall, SysretTo32BitCode) {
  TestCpu cpu(Mode::Long64);
  set_star(cpu);
  cpu.rcx() = 0xffffffff00001234;
  cpu->reg(x86::Gpr::R11) = 0x202;
  cpu.run("0f 07");
  EXPECT_EQ(cpu->rip(), 0x1234u);
  EXPECT_EQ(cpu.selector(SegmentName::Cs), sel::kCode32User);
  EXPECT_EQ(cpu->code_width(), Width::Bits32);
}

TEST(Syscall, SysretToANonCanonicalAddressFaultsInRing0) {
  TestCpu cpu(Mode::Long64);
  set_star(cpu);
  cpu.rcx() = kNonCanonical;
  cpu.run("48 0f 07");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint64_t>(2), sel::kCode0);
  EXPECT_EQ(cpu.stack<std::uint64_t>(4), at::kStack);
}

TEST(Syscall, NeedsSceAndRing0ForTheReturn) {
  TestCpu cpu(Mode::Long64);
  set_star(cpu);
  cpu->efer &= ~x86::efer::SCE;
  cpu.run("0f 05");
  EXPECT_EQ(cpu.arrived(), 6);

  TestCpu user(Mode::Long64);
  set_star(user);
  user.enter_user();
  user.run("48 0f 07");
  EXPECT_EQ(user.arrived(), 13);
}

TEST(Sysenter, ThereAndBack) {
  TestCpu cpu(Mode::Long64);
  cpu->sysenter_cs = sel::kCode0;
  cpu->sysenter_esp = at::kStack0;
  cpu->sysenter_eip = TestCpu::handler(0x91);
  cpu.enter_user();
  cpu->flags.set_value(0x202);
  cpu.run("0f 34");
  EXPECT_EQ(cpu.arrived(), 0x91);
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu.rsp(), at::kStack0);
  EXPECT_FALSE(cpu->flags.interrupts());
  cpu.rdx() = at::kCode;
  cpu.rcx() = at::kStack3;
  cpu.code("48 0f 35", TestCpu::handler(0x91));
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode);
  EXPECT_EQ(cpu.selector(SegmentName::Cs), (sel::kCode0 + 32) | 3);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), (sel::kCode0 + 40) | 3);

  TestCpu none(Mode::Long64);
  none.run("0f 34");
  EXPECT_EQ(none.arrived(), 13);
}

// ---- Far jumps, calls and returns

TEST(Far, JumpBetween64BitAndCompatibilityCode) {
  TestCpu cpu(Mode::Long64);
  cpu.put<std::uint32_t>(at::kData, TestCpu::handler(0x50));
  cpu.put<std::uint16_t>(at::kData + 4, sel::kCode32);
  cpu.rax() = at::kData;
  cpu.run("ff 28");  // jmp far [rax]
  EXPECT_EQ(cpu.arrived(), 0x50);
  EXPECT_EQ(cpu->code_width(), Width::Bits32);
}

TEST(Far, CallAndReturnKeepTheLevel) {
  TestCpu cpu(Mode::Protected32);
  cpu.code("9a 00 06 02 00 08 00");  // call 8:0x20600, which is handler 0x60
  cpu.step();
  EXPECT_EQ(cpu.arrived(), 0x60);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), at::kCode + 7);
  EXPECT_EQ(cpu.stack<std::uint32_t>(1), sel::kCode0);
  cpu.code("cb", TestCpu::handler(0x60));
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode + 7);
  EXPECT_EQ(cpu.rsp(), at::kStack);
}

TEST(Far, ACallGateSwitchesStacksAndCopiesParameters) {
  TestCpu cpu(Mode::Protected32);
  cpu.descriptor(sel::kGate, TestCpu::make_gate(sel::kCode0, 0x20600, type::kCallGate, 3, 2));
  cpu.enter_user();
  cpu->push<std::uint32_t>(0x1111);
  cpu->push<std::uint32_t>(0x2222);
  cpu.run("9a 00 00 00 00 73 00");  // through the gate; the offset does not matter
  EXPECT_EQ(cpu.arrived(), 0x60);
  EXPECT_EQ(cpu->cpl(), 0u);
  EXPECT_EQ(cpu.rsp(), at::kStack0 - 24);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), at::kCode + 7);
  EXPECT_EQ(cpu.stack<std::uint32_t>(1), sel::kCode3);
  EXPECT_EQ(cpu.stack<std::uint32_t>(2), 0x2222u);
  EXPECT_EQ(cpu.stack<std::uint32_t>(3), 0x1111u);
  EXPECT_EQ(cpu.stack<std::uint32_t>(4), at::kStack3 - 8);
  EXPECT_EQ(cpu.stack<std::uint32_t>(5), sel::kData3);
  cpu.code("ca 08 00", TestCpu::handler(0x60));  // retf 8
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode + 7);
  EXPECT_EQ(cpu->cpl(), 3u);
  EXPECT_EQ(cpu.rsp(), at::kStack3);
  EXPECT_EQ(cpu.selector(SegmentName::Ss), sel::kData3);
}

TEST(Far, A64BitCallGate) {
  TestCpu cpu(Mode::Long64);
  cpu.descriptor(sel::kGate, TestCpu::make_gate(sel::kCode0, 0x20600, type::kCallGate, 3));
  cpu.descriptor(sel::kGate + 8, 0);
  cpu.put<std::uint16_t>(at::kData + 4, sel::kGate | 3);
  cpu.rax() = at::kData;
  cpu.enter_user();
  cpu.rax() = at::kData;
  cpu.run("ff 18");  // call far [rax]
  EXPECT_EQ(cpu.arrived(), 0x60);
  EXPECT_EQ(cpu.rsp(), at::kStack0 - 32);
  EXPECT_EQ(cpu.stack<std::uint64_t>(0), at::kCode + 2);
  EXPECT_EQ(cpu.stack<std::uint64_t>(1), sel::kCode3);
  EXPECT_EQ(cpu.stack<std::uint64_t>(2), at::kStack3);
  EXPECT_EQ(cpu.stack<std::uint64_t>(3), sel::kData3);
  EXPECT_TRUE(cpu->seg(SegmentName::Ss).unusable());
}

TEST(Far, PrivilegeOfDirectTransfers) {
  const auto arrival_to = [](std::uint16_t selector, bool user) {
    TestCpu cpu(Mode::Protected32);
    if (user) cpu.enter_user();
    cpu.put<std::uint32_t>(at::kData, 0x20600);
    cpu.put<std::uint16_t>(at::kData + 4, selector);
    cpu.run("ff 2d 00 80 01 00");  // jmp far [kData]
    return std::pair<int, unsigned>(cpu.arrived(), cpu->cpl());
  };
  using Pair = std::pair<int, unsigned>;
  EXPECT_EQ(arrival_to(sel::kCode0, false), Pair(0x60, 0));
  EXPECT_EQ(arrival_to(sel::kCode3, false), Pair(13, 0));
  EXPECT_EQ(arrival_to(sel::kCode0, true), Pair(13, 0));
  EXPECT_EQ(arrival_to(sel::kConforming, true), Pair(0x60, 3));  // runs at the caller's CPL
  EXPECT_EQ(arrival_to(sel::kData0, false), Pair(13, 0));
  EXPECT_EQ(arrival_to(0, false), Pair(13, 0));
}

TEST(Far, RealModeJumpKeepsTheLimit) {
  TestCpu cpu(Mode::Real);
  cpu.run("ea 00 06 00 20");  // jmp 0x2000:0x600
  EXPECT_EQ(cpu.arrived(), 0x60);
  EXPECT_EQ(cpu->seg(SegmentName::Cs).base, 0x20000u);
  EXPECT_EQ(cpu->seg(SegmentName::Cs).limit, 0xffffu);
}

// ---- Segment registers

TEST(Segments, LoadingSetsTheAccessedBit) {
  TestCpu cpu(Mode::Protected32);
  cpu.descriptor(sel::kFree, TestCpu::make_descriptor(0x1000, 0xfff, 0x4092));
  cpu.rax() = sel::kFree;
  cpu.run("8e c0");
  EXPECT_EQ(cpu->seg(SegmentName::Es).base, 0x1000u);
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kGdt + sel::kFree + 5), 0x93);
}

TEST(Segments, FromTheLdt) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint64_t>(at::kLdt + 8, TestCpu::make_descriptor(0x2000, 0xfff, 0x4093));
  cpu.rax() = sel::kLdt;
  cpu.run("0f 00 d0");  // lldt ax
  cpu.rax() = 0x0c;
  cpu.run("8e c0");
  EXPECT_EQ(cpu->seg(SegmentName::Es).base, 0x2000u);
}

TEST(Segments, RealModeLoadsKeepAnUnrealLimit) {
  TestCpu cpu(Mode::Real);
  cpu->seg(SegmentName::Ds).limit = 0xffffffff;
  cpu.rax() = 0x1234;
  cpu.run("8e d8");
  EXPECT_EQ(cpu->seg(SegmentName::Ds).base, 0x12340u);
  EXPECT_EQ(cpu->seg(SegmentName::Ds).limit, 0xffffffffu);
}

TEST(Segments, PushAndPop) {
  TestCpu cpu(Mode::Long64);
  cpu->seg(SegmentName::Fs).base = 0x1234000;
  cpu.run("0f a0 0f a9", 2);  // push fs; pop gs
  EXPECT_EQ(cpu.selector(SegmentName::Gs), sel::kData0);
  EXPECT_EQ(cpu->seg(SegmentName::Gs).base, 0u);
  EXPECT_EQ(cpu.rsp(), at::kStack);
}

TEST(Segments, ANullStackNeedsRing0In64BitMode) {
  TestCpu cpu(Mode::Long64);
  cpu.rax() = 0;
  cpu.run("8e d0");
  EXPECT_EQ(cpu->rip(), at::kCode + 2);

  TestCpu user(Mode::Long64);
  user.enter_user();
  user.rax() = 3;
  user.run("8e d0");
  EXPECT_EQ(user.arrived(), 13);

  TestCpu legacy(Mode::Protected32);
  legacy.rax() = 0;
  legacy.run("8e d0");
  EXPECT_EQ(legacy.arrived(), 13);
}

TEST(Segments, LssTakesBoth) {
  TestCpu cpu(Mode::Protected32);
  cpu.put<std::uint32_t>(at::kData, 0x5678);
  cpu.put<std::uint16_t>(at::kData + 4, sel::kData0);
  cpu.run("0f b2 25 00 80 01 00");  // lss esp, [kData]
  EXPECT_EQ(cpu.rsp(), 0x5678u);
}

// ---- Tasks

void fill_task(TestCpu& cpu, std::uint64_t tss, std::uint32_t eip) {
  cpu.put<std::uint32_t>(tss + 0x20, eip);
  cpu.put<std::uint32_t>(tss + 0x24, 2);
  cpu.put<std::uint32_t>(tss + 0x28, 0xaaaa);    // EAX
  cpu.put<std::uint32_t>(tss + 0x38, at::kIst);  // ESP
  for (unsigned i = 0; i < 6; ++i)
    cpu.put<std::uint32_t>(tss + 0x48 + 4 * i, sel::kData0);
  cpu.put<std::uint32_t>(tss + 0x4c, sel::kCode0);  // CS
}

TEST(Tasks, CallNestsAndIretReturns) {
  TestCpu cpu(Mode::Protected32);
  fill_task(cpu, at::kTss2, static_cast<std::uint32_t>(TestCpu::handler(0x70)));
  cpu.rax() = 0x1111;
  cpu.run("9a 00 00 00 00 40 00");  // call kTss2:0
  EXPECT_EQ(cpu.arrived(), 0x70);
  EXPECT_EQ(cpu.rax(), 0xaaaau);
  EXPECT_EQ(cpu.rsp(), at::kIst);
  EXPECT_EQ(cpu->tr.selector, sel::kTss2);
  EXPECT_TRUE(cpu->flags.nt());
  EXPECT_NE(cpu->cr0 & x86::cr0::TS, 0u);
  EXPECT_EQ(cpu.get<std::uint16_t>(at::kTss2), sel::kTss);            // the link
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kGdt + sel::kTss2 + 5), 0x8b);  // busy
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kGdt + sel::kTss + 5), 0x8b);   // still busy
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kTss + 0x20), at::kCode + 7);
  cpu.code("cf", TestCpu::handler(0x70));
  cpu.step();
  EXPECT_EQ(cpu->rip(), at::kCode + 7);
  EXPECT_EQ(cpu.rax(), 0x1111u);
  EXPECT_FALSE(cpu->flags.nt());
  EXPECT_EQ(cpu.get<std::uint8_t>(at::kGdt + sel::kTss2 + 5), 0x89);
}

TEST(Tasks, AJumpToABusyTaskIsRefused) {
  TestCpu cpu(Mode::Protected32);
  cpu.run("ea 00 00 00 00 30 00");
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), sel::kTss);
}

TEST(Tasks, ADoubleFaultThroughATaskGate) {
  TestCpu cpu(Mode::Protected32);
  fill_task(cpu, at::kTss2, static_cast<std::uint32_t>(TestCpu::handler(8)));
  cpu.gate32(8, type::kTaskGate, 0, sel::kTss2);
  cpu.no_gate(13);
  cpu.no_gate(11);
  cpu.rax() = 0xff8;
  cpu.run("8e d8");
  EXPECT_EQ(cpu.arrived(), 8);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), 0u);
  EXPECT_EQ(cpu.rsp(), at::kIst - 4);
  EXPECT_EQ(cpu.get<std::uint32_t>(at::kTss + 0x20), at::kCode);
}

TEST(Tasks, AFaultInTheNewTaskIsItsOwn) {
  TestCpu cpu(Mode::Protected32);
  fill_task(cpu, at::kTss2, static_cast<std::uint32_t>(TestCpu::handler(0x70)));
  cpu.put<std::uint32_t>(at::kTss2 + 0x48, 0xff8);  // ES
  cpu.run("ea 00 00 00 00 40 00");
  EXPECT_EQ(cpu.arrived(), 10);
  EXPECT_EQ(cpu.stack<std::uint32_t>(0), 0xff8u);
  EXPECT_EQ(cpu.stack<std::uint32_t>(1), TestCpu::handler(0x70));
  EXPECT_EQ(cpu->tr.selector, sel::kTss2);
}

}  // namespace
}  // namespace ringside::soft
