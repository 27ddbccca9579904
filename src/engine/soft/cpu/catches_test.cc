// What a CPU is caught at, and that it goes on from there as if it had not been.
#include "engine/soft/cpu/catches.h"

#include <gtest/gtest.h>

#include "engine/soft/soft_points.h"
#include "engine/soft/soft_vcpu.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

using hypervisor::CatchKind;
using hypervisor::exit::Caught;
using testing::TestCpu;
namespace at = testing::at;

class Catching : public ::testing::Test {
 protected:
  // Runs until the CPU would leave the guest, for so many instructions at most.
  std::optional<Caught> run(std::uint64_t most = 100) {
    cpu->pending_exit.reset();
    soft::run(*cpu, cpu->icount + most);
    if (!cpu->pending_exit) return std::nullopt;
    const auto* caught = std::get_if<Caught>(&*cpu->pending_exit);
    return caught != nullptr ? std::optional(*caught) : std::nullopt;
  }
  void want(CatchKind kind) { ASSERT_TRUE(points.insert_catch({kind})); }

  TestCpu cpu{TestCpu::Mode::Long64};
  SoftPoints points{cpu.board()};
};

TEST_F(Catching, AFaultBeforeItsDelivery) {
  want(CatchKind::Exception);
  cpu.small_pages();
  cpu.unmap(0x19000);
  cpu.code("90 8b042510900100 f4");  // nop; mov eax, [0x19010]; hlt
  const std::uint64_t rsp = cpu.rsp(), cr2 = cpu->cr2;
  const auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 14u);
  EXPECT_EQ(caught->error_code, 0u);
  EXPECT_EQ(caught->value, 0x19010u);
  EXPECT_FALSE(caught->delivered);
  EXPECT_EQ(caught->at.value, at::kCode + 1);
  EXPECT_EQ(cpu->rip(), at::kCode + 1);
  EXPECT_EQ(cpu.rsp(), rsp);
  EXPECT_EQ(cpu->cr2, cr2);
  EXPECT_EQ(cpu->icount, 1u);
  // Resumed it is delivered.
  cpu->pending_exit.reset();
  soft::run(*cpu, 2);
  EXPECT_EQ(cpu.arrived(), 14);
  EXPECT_EQ(cpu->cr2, 0x19010u);
}

TEST_F(Catching, AFaultThatTheDebuggerMendsIsNone) {
  want(CatchKind::Exception);
  cpu.small_pages();
  cpu.unmap(0x19000);
  cpu.code("8b042510900100 90");
  ASSERT_TRUE(run());
  cpu.put<std::uint64_t>(at::kPt + 8 * 0x19, 0x19007);
  cpu->flush_tlb();
  cpu.put<std::uint32_t>(0x19010, 77);
  EXPECT_FALSE(run(1));
  EXPECT_EQ(cpu.rax(), 77u);
}

// #GP for the gate's privilege comes at the same instruction as the interrupt does.
TEST_F(Catching, TwoEventsOfOneInstructionAreToldOfOnceEach) {
  want(CatchKind::Exception);
  want(CatchKind::Interrupt);
  cpu.gate64(0x80, 0xe, 0);
  cpu.enter_user();
  cpu.code("cd80");
  auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->kind, CatchKind::Interrupt);
  EXPECT_EQ(caught->number, 0x80u);
  EXPECT_EQ(caught->source, Caught::Source::Instruction);
  EXPECT_EQ(cpu->rip(), at::kCode);
  caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->kind, CatchKind::Exception);
  EXPECT_EQ(caught->number, 13u);
  cpu->pending_exit.reset();
  soft::run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 13);
}

TEST_F(Catching, AnExceptionInTheMidstOfAnotherAfterItsDelivery) {
  ASSERT_TRUE(points.insert_catch({CatchKind::Exception, 8, 8}));
  cpu.no_gate(13);
  cpu.no_gate(11);
  cpu.code("0f32");  // rdmsr
  cpu.rcx() = 0x12345678;
  const auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 8u);
  EXPECT_TRUE(caught->delivered);
  EXPECT_EQ(cpu.arrived(), 8);
}

TEST_F(Catching, Int3AndItsKindBeforeThem) {
  want(CatchKind::Exception);
  cpu.code("cc");
  const auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 3u);
  EXPECT_EQ(cpu->rip(), at::kCode);
  cpu->pending_exit.reset();
  soft::run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 3);
}

TEST_F(Catching, AnExternalInterruptBeforeItIsAcknowledged) {
  want(CatchKind::Interrupt);
  cpu.platform.vector = 0x31;
  cpu->interrupt_pin = true;
  cpu.code("90 90");
  cpu->flags.set_system(x86::rflags::IF, true);
  auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 0x31u);
  EXPECT_EQ(caught->source, Caught::Source::External);
  EXPECT_EQ(cpu.platform.acknowledged, 0u);
  EXPECT_EQ(cpu->rip(), at::kCode);
  cpu->pending_exit.reset();
  soft::step(*cpu);
  EXPECT_EQ(cpu.arrived(), 0x31);
  EXPECT_EQ(cpu.platform.acknowledged, 1u);
  // The next one at the same count of instructions is another.
  cpu->flags.set_system(x86::rflags::IF, true);
  caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 0x31u);
}

TEST_F(Catching, AnNmiBeforeItIsTaken) {
  want(CatchKind::Interrupt);
  cpu.code("90");
  cpu->nmi_pending = true;
  const auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->source, Caught::Source::Nmi);
  EXPECT_EQ(caught->number, 2u);
  EXPECT_TRUE(cpu->nmi_pending);
  EXPECT_FALSE(cpu->nmi_blocked);
}

// An IRET that faults ends the blocking of NMIs all the same (SDM 3A 6.7.1): not before its fault
// is delivered, or a waiting NMI would come first.
TEST_F(Catching, AnIretThatFaultsKeepsNmisBlockedUntilItsFaultIsDelivered) {
  ASSERT_TRUE(points.insert_catch({CatchKind::Exception}));
  cpu.code("48cf");
  cpu.rsp() = at::kStack;
  for (unsigned i = 0; i < 5; ++i)
    cpu.put<std::uint64_t>(at::kStack + 8 * i, 0);  // CS is null: #GP
  cpu->nmi_blocked = cpu->nmi_pending = true;
  auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 13u);
  EXPECT_TRUE(cpu->nmi_blocked);
  cpu->pending_exit.reset();
  soft::run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 13);
  EXPECT_FALSE(cpu->nmi_blocked);
}

// RF lets this one instruction pass a breakpoint of the guest's (SDM 3B 17.3.1.1), also when it is
// executed again.
TEST_F(Catching, AnInstructionThatRfLetsPassKeepsItUntilItsFaultIsDelivered) {
  ASSERT_TRUE(points.insert_catch({CatchKind::Exception}));
  cpu.code("0f0b");
  cpu->dr[0] = at::kCode;
  cpu->dr7 = x86::dr7::kReset | 1;
  cpu->flags.set_system(x86::rflags::RF, true);
  const auto caught = run();
  ASSERT_TRUE(caught);
  EXPECT_EQ(caught->number, 6u);
  EXPECT_TRUE(cpu->flags.rf());
  cpu->pending_exit.reset();
  soft::run(*cpu, cpu->icount + 1);
  EXPECT_EQ(cpu.arrived(), 6);
}

TEST_F(Catching, MsrsPortsControlRegistersAndHltAfterTheInstruction) {
  for (const CatchKind kind :
       {CatchKind::Msr, CatchKind::Port, CatchKind::ControlRegister, CatchKind::Halt})
    want(kind);
  // mov ecx, 0xc0000082; rdmsr; wrmsr; mov al, 0x41; out 0xe9, al; in al, dx; mov cr2, rax; hlt
  cpu.code("b9820000c0 0f32 0f30 b041 e6e9 ec 0f22d0 f4");
  cpu.rdx() = 0;
  struct {
    CatchKind kind;
    std::uint32_t number;
    bool is_write;
    std::uint64_t behind;
  } const wanted[] = {
      {CatchKind::Msr, 0xc0000082, false, 7},     {CatchKind::Msr, 0xc0000082, true, 9},
      {CatchKind::Port, 0xe9, true, 13},          {CatchKind::Port, 0, false, 14},
      {CatchKind::ControlRegister, 2, false, 17}, {CatchKind::Halt, 0, false, 18}};
  for (const auto& one : wanted) {
    const auto caught = run();
    ASSERT_TRUE(caught);
    EXPECT_EQ(caught->kind, one.kind);
    EXPECT_EQ(caught->number, one.number);
    EXPECT_EQ(caught->is_write, one.is_write);
    EXPECT_EQ(caught->at.value, at::kCode + one.behind);
    EXPECT_EQ(cpu->rip(), at::kCode + one.behind);
    if (one.number == 0xe9) {
      EXPECT_EQ(caught->value, 0x41u);
    }
  }
  EXPECT_EQ(cpu->activity, Activity::Halted);
}

TEST_F(Catching, EachPartOfARowOfOutputs) {
  ASSERT_TRUE(points.insert_catch({CatchKind::Port, 0xe9, 0xe9, false, true}));
  cpu.code("f36e 90");  // rep outsb
  cpu.rcx() = 3;
  cpu.rdx() = 0xe9;
  cpu->reg(x86::Gpr::Rsi) = at::kData;
  for (unsigned left = 2; left < 3; --left) {
    ASSERT_TRUE(run());
    EXPECT_EQ(cpu.rcx(), left);
  }
  EXPECT_EQ(cpu.platform.ports.size(), 3u);
}

TEST_F(Catching, OnlyWhatIsAskedFor) {
  ASSERT_TRUE(points.insert_catch({CatchKind::Port, 0x10, 0x1f, true, false}));
  cpu.code("e611 e40f e420 90 90");  // a write; reads of 0xf and 0x20
  EXPECT_FALSE(run(4));
  cpu.code("e50d 90");  // in eax, 0xd: the ports to 0x10
  EXPECT_TRUE(run(2));
  EXPECT_TRUE(points.remove_catch({CatchKind::Port, 0x10, 0x1f, true, false}));
  EXPECT_FALSE(points.remove_catch({CatchKind::Port, 0x10, 0x1f, true, false}));
  EXPECT_EQ(cpu.board().catch_kinds, 0u);
}

// A fault in the second half of a task switch belongs to the new task (SDM 3A 7.3): the first half
// cannot be undone.
TEST(CatchingTasks, AFaultOfTheNewTaskIsToldOfAfterItsDelivery) {
  TestCpu cpu{TestCpu::Mode::Protected32};
  SoftPoints points(cpu.board());
  ASSERT_TRUE(points.insert_catch({CatchKind::Exception}));
  ASSERT_TRUE(points.insert_catch({CatchKind::TaskSwitch}));
  for (unsigned i = 0; i < 0x68; i += 4)
    cpu.put<std::uint32_t>(at::kTss2 + i, 0);  // CS is null: #TS
  cpu.code("ea00000000 4000");                 // jmp far TSS2
  const auto old = cpu->tr.selector;
  std::vector<CatchKind> kinds;
  for (int i = 0; i < 2; ++i) {
    cpu->pending_exit.reset();
    soft::run(*cpu, cpu->icount + 1);
    if (!cpu->pending_exit) continue;
    const auto* caught = std::get_if<Caught>(&*cpu->pending_exit);
    ASSERT_NE(caught, nullptr);
    kinds.push_back(caught->kind);
    EXPECT_TRUE(caught->kind != CatchKind::Exception || caught->delivered);
  }
  ASSERT_FALSE(kinds.empty());
  EXPECT_EQ(kinds[0], CatchKind::TaskSwitch);
  EXPECT_NE(cpu->tr.selector, old);
}

TEST_F(Catching, WhatWaitsIsTold) {
  SoftVcpu vcpu({0}, cpu.board());
  using Shadow = hypervisor::PendingEvents::Shadow;
  EXPECT_EQ(vcpu.pending_events()->shadow, Shadow::None);
  vcpu.cpu.shadow_after_sti();
  EXPECT_EQ(vcpu.pending_events()->shadow, Shadow::Sti);
  vcpu.cpu.shadow_after_stack_load();
  EXPECT_EQ(vcpu.pending_events()->shadow, Shadow::StackLoad);
  EXPECT_FALSE(vcpu.pending_events()->vector);
  cpu.platform.vector = 0x44;
  vcpu.cpu.interrupt_pin = vcpu.cpu.nmi_pending = true;
  ASSERT_TRUE(vcpu.inject_exception({x86::Vector::GeneralProtection, 5, 0}));
  const auto events = vcpu.pending_events();
  EXPECT_TRUE(events->nmi_pending && events->interrupt_waiting);
  EXPECT_EQ(events->vector, 0x44);
  EXPECT_FALSE(events->interrupts_enabled);
  EXPECT_EQ(events->exception->error_code, 5u);
}

}  // namespace
}  // namespace ringside::soft
