// Stops for what a vCPU does: what is promised by ringside/catches.h.
#include <stdexcept>
#include <tuple>

#include "conformance/conformance_test.h"

namespace ringside::testing {
namespace {

using hypervisor::Catch;
using hypervisor::CatchKind;
using hypervisor::exit::Caught;

// Skips where the engine has not got it.
#define NEEDS_CATCHES(vm, kind)                                                       \
  if ((vm).engine().catches() == nullptr || !(vm).engine().catches()->offers((kind))) \
  GTEST_SKIP() << "this engine does not catch that"

TEST_P(Conformance, APortIsCaughtAfterTheAccess) {
  TestVm vm(GetParam(), "counters");
  NEEDS_CATCHES(vm, CatchKind::Port);
  const Catch com1{CatchKind::Port, 0x3f8, 0x3f8, false, true};
  ASSERT_TRUE(vm.engine().catches()->insert_catch(com1));
  vm.resume();
  const auto hit = vm.expect<Caught>();
  EXPECT_EQ(hit.kind, CatchKind::Port);
  EXPECT_EQ(hit.number, 0x3f8u);
  EXPECT_TRUE(hit.is_write);
  EXPECT_EQ(hit.width, 1);
  EXPECT_EQ(hit.value, std::uint64_t{'0'});
  EXPECT_EQ(hit.at.value, vm.rip());
  EXPECT_EQ(vm.said(), "0");  // the access is complete
  ASSERT_TRUE(vm.engine().catches()->remove_catch(com1));
  EXPECT_FALSE(vm.engine().catches()->remove_catch(com1));
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
  vm.suspend_all();
  EXPECT_GT(vm.memory_u64(vm["counters"]), 0u);
}

// A row of outputs in one instruction loses none and doubles none, whether it is told of one by one
// or as a whole.
TEST_P(Conformance, ARowOfOutputsIsWhole) {
  TestVm vm(GetParam(), "transfers");
  NEEDS_CATCHES(vm, CatchKind::Port);
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Port, 0xe9, 0xe9}));
  for (int i = 0; i < 200; ++i) {
    vm.resume();
    EXPECT_EQ(vm.expect<Caught>().number, 0xe9u);
  }
  const std::string block = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
  std::string wanted;
  while (wanted.size() < vm.debug_output().size())
    wanted += block;
  EXPECT_EQ(vm.debug_output(), wanted.substr(0, vm.debug_output().size()));
  EXPECT_GE(vm.debug_output().size(), 200u);
}

TEST_P(Conformance, AStepOverACaughtPortIsTold) {
  NEEDS(Feature::Steps);
  TestVm vm(GetParam(), "transfers");
  NEEDS_CATCHES(vm, CatchKind::Port);
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  vm.step_to(vm["transfer"]);
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Port, 0xe9, 0xe9}));
  enable(vm, hypervisor::Capability::MonitorTrap);
  vm.resume();
  EXPECT_EQ(vm.expect<Caught>().number, 0xe9u);
}

TEST_P(Conformance, HltIsCaughtAfterIt) {
  TestVm vm(GetParam(), "halt");
  NEEDS_CATCHES(vm, CatchKind::Halt);
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Halt}));
  vm.resume();
  EXPECT_EQ(vm.expect<Caught>().kind, CatchKind::Halt);
  EXPECT_EQ(vm.rip(), vm["after_hlt"]);
  EXPECT_TRUE(vm.vcpu().halted());
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
  vm.suspend_all();
  EXPECT_EQ(vm.memory_u64(vm["wakes"]), 0u);
}

// The timer's, for many rounds: RIP is where the handler will return to.
TEST_P(Conformance, AnInterruptIsCaughtBeforeItsDelivery) {
  TestVm vm(GetParam(), "interrupts");
  NEEDS_CATCHES(vm, CatchKind::Interrupt);
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Interrupt, 0x40, 0x40}));
  for (int i = 0; i < 20; ++i) {
    vm.resume();
    const auto hit = vm.expect<Caught>();
    EXPECT_EQ(hit.number, 0x40u);
    EXPECT_EQ(hit.source, Caught::Source::External);
    EXPECT_FALSE(vm.rip() >= vm["handler"] && vm.rip() < vm["handler_end"]);
    EXPECT_EQ(vm.memory_u64(vm["ticks"]), static_cast<std::uint64_t>(i));
    const auto waits = vm.vcpu().pending_events();
    ASSERT_TRUE(waits);
    EXPECT_TRUE(waits->interrupt_waiting && waits->interrupts_enabled);
    EXPECT_EQ(waits->vector, 0x40);
  }
  ASSERT_TRUE(vm.engine().catches()->remove_catch({CatchKind::Interrupt, 0x40, 0x40}));
  vm.step();
  EXPECT_EQ(vm.rip(), vm["handler"]);
}

// Each of three forms of int3, which the guest takes itself.
TEST_P(Conformance, AnExceptionIsCaughtBeforeItsDelivery) {
  TestVm vm(GetParam(), "int3");
  NEEDS_CATCHES(vm, CatchKind::Exception);
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Exception, 3, 3}));
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Interrupt, 3, 3}));
  for (int i = 0; i < 12; ++i) {
    vm.resume();
    const auto hit = vm.expect<Caught>();
    EXPECT_EQ(hit.kind, i % 3 == 2 ? CatchKind::Interrupt : CatchKind::Exception);
    static constexpr const char* kPlaces[] = {"plain", "prefixed", "long_form"};
    EXPECT_EQ(vm.rip(), vm[kPlaces[i % 3]]);
    EXPECT_EQ(vm.memory_u64(vm["rounds"]), static_cast<std::uint64_t>(i / 3));
  }
}

TEST_P(Conformance, EveryPrivilegeChangeAndMsrOfABusyGuestIsTold) {
  TestVm vm(GetParam(), "vectors64");
  NEEDS_CATCHES(vm, CatchKind::PrivilegeChange);
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::PrivilegeChange}));
  ASSERT_TRUE(vm.engine().catches()->insert_catch({CatchKind::Msr}));
  std::uint64_t level = 0;
  unsigned changes = 0, accesses = 0;
  for (int i = 0; i < 60; ++i) {
    vm.resume();
    const auto hit = vm.expect<Caught>();
    if (hit.kind == CatchKind::Msr) {
      ++accesses;
      continue;
    }
    ++changes;
    EXPECT_EQ(hit.value, level);
    EXPECT_NE(hit.number, level);
    level = hit.number;
    EXPECT_EQ(vm.read(x86::Register::Cs) & 3, level);
  }
  EXPECT_GE(changes, 10u);
  EXPECT_GE(accesses, 2u);
}

// Out of the guest in the shadow of STI the vCPU says so; KVM may have ended it with the step.
TEST_P(Conformance, TheShadowAfterStiIsTold) {
  NEEDS(Feature::Steps);
  TestVm vm(GetParam(), "halt");
  if (!vm.vcpu().pending_events()) GTEST_SKIP() << "this engine does not know what is pending";
  vm.step_to(vm["at_hlt"]);
  const auto events = vm.vcpu().pending_events();
  using Shadow = hypervisor::PendingEvents::Shadow;
  const bool exact = vm.engine().catches()->offers(CatchKind::Interrupt);
  EXPECT_TRUE(events->shadow == Shadow::Sti || (!exact && events->shadow == Shadow::None));
  EXPECT_TRUE(events->interrupts_enabled);
  EXPECT_FALSE(events->interrupt_waiting || events->nmi_pending || events->exception);
}

// How many instructions there are up to a breakpoint's hit of this number.
std::uint64_t instructions_until(TestVm& vm, const char* place, unsigned hits, bool catches) {
  if (catches) {
    for (unsigned kind = 0; kind < hypervisor::kCatchKinds; ++kind)
      EXPECT_TRUE(vm.engine().catches()->insert_catch({static_cast<CatchKind>(kind)}));
  }
  EXPECT_TRUE(vm.engine().breakpoints()->insert_breakpoint({vm[place]}));
  unsigned caught = 0;
  while (hits > 0) {
    vm.resume();
    const auto event = vm.next_event();
    if (!event) throw std::runtime_error("the guest has ended");
    if (std::holds_alternative<hypervisor::exit::HardwareBreakpoint>(event->exit)) {
      --hits;
    } else {
      EXPECT_TRUE(std::holds_alternative<Caught>(event->exit));
      ++caught;
    }
  }
  EXPECT_TRUE(!catches || caught > 400) << caught;
  return vm.vcpu().instructions()->value;
}

// The guest cannot tell: as many instructions, though it was stopped hundreds of times. `int3` is
// hot, so that its events come from host code.
TEST_P(Conformance, ACaughtRunIsTheSameRun) {
  const std::tuple<const char*, const char*, unsigned> runs[] = {{"vectors64", "finished", 1},
                                                                 {"int3", "handler", 2500}};
  for (const auto& [guest, place, hits] : runs) {
    TestVm plain(GetParam(), guest), caught(GetParam(), guest);
    NEEDS_CATCHES(plain, CatchKind::PrivilegeChange);
    EXPECT_EQ(instructions_until(caught, place, hits, true),
              instructions_until(plain, place, hits, false));
  }
}

}  // namespace
}  // namespace ringside::testing
