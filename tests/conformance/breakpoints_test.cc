// Breakpoints: int3 of ours and of the guest's, the engine's own, and hits that do not count.
#include <atomic>

#include "conformance/conformance_test.h"
#include "hypervisor/guest_memory.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::Capability;
using x86::Register;

TEST_P(Conformance, AnInterceptedInt3LeavesRipOnItAndTellsItsLength) {
  NEEDS(Feature::Breakpoints);
  TestVm vm(GetParam(), "int3");
  enable(vm, Capability::BreakpointExit);
  vm.resume();
  EXPECT_EQ(vm.expect<exit::Breakpoint>().insn_length, 1u);
  EXPECT_EQ(vm.rip(), vm["plain"]);
  EXPECT_EQ(vm.memory_u64(vm["frames"]), 0u);
}

TEST_P(Conformance, ReinjectionPushesRipPlusTheLength) {
  NEEDS(Feature::Breakpoints, Feature::EveryInstruction);
  TestVm vm(GetParam(), "int3");
  enable(vm, Capability::BreakpointExit);
  for (const char* label : {"plain", "prefixed", "plain", "prefixed"}) {
    vm.resume();
    const auto stop = vm.expect<exit::Breakpoint>();
    ASSERT_EQ(vm.rip(), vm[label]);
    EXPECT_EQ(stop.insn_length, label[1] == 'l' ? 1u : 2u);
    ASSERT_TRUE(vm.vcpu().set_entry_insn_length(stop.insn_length));
    EXPECT_EQ(vm.vcpu().entry_insn_length().value(), stop.insn_length);
    ASSERT_TRUE(vm.vcpu().inject_exception(x86::Exception{x86::Vector::Breakpoint, {}, {}}));
  }
  vm.resume();
  vm.expect<exit::Breakpoint>();
  EXPECT_EQ(vm.memory_u64(vm["frames"]), vm["plain"] + 1);
  EXPECT_EQ(vm.memory_u64(vm["frames"] + 8), vm["prefixed"] + 2);
  EXPECT_EQ(vm.memory_u64(vm["frames"] + 16), vm["long_form"] + 2);
  EXPECT_EQ(vm.memory_u64(vm["rounds"]), 2u);
  EXPECT_EQ(vm.vcpu().entry_insn_length().value(), 1u);
}

TEST_P(Conformance, ASecondInjectionIsRefused) {
  NEEDS(Feature::Breakpoints);
  TestVm vm(GetParam(), "int3");
  enable(vm, Capability::BreakpointExit);
  vm.resume();
  vm.expect<exit::Breakpoint>();
  const x86::Exception breakpoint{x86::Vector::Breakpoint, {}, {}};
  ASSERT_TRUE(vm.vcpu().inject_exception(breakpoint));
  const auto again = vm.vcpu().inject_exception(breakpoint);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::Busy);
}

TEST_P(Conformance, WithoutTheCapabilityInt3IsTheGuests) {
  NEEDS(Feature::EveryInstruction);
  TestVm vm(GetParam(), "int3");
  vm.resume();
  vm.run_until_said("ok");
}

TEST_P(Conformance, CodeWrittenFromOutsideIsExecuted) {
  NEEDS(Feature::Breakpoints);
  TestVm vm(GetParam(), "counters");
  enable(vm, Capability::BreakpointExit);
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  const std::string code = vm.memory(vm["tick"], 1);
  const std::byte int3{0xcc}, original{static_cast<unsigned char>(code[0])};
  ASSERT_TRUE(hypervisor::write_virtual(vm.engine(), {0}, {vm["tick"]}, {&int3, 1}));
  vm.resume();
  vm.expect<exit::Breakpoint>();
  EXPECT_EQ(vm.rip(), vm["tick"]);
  ASSERT_TRUE(hypervisor::write_virtual(vm.engine(), {0}, {vm["tick"]}, {&original, 1}));
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

TEST_P(Conformance, AHardwareBreakpointStopsBeforeItsInstructionEachTime) {
  NEEDS(Feature::HardwareBreakpoints);
  TestVm vm(GetParam(), "counters");
  hypervisor::Vm* const engine = &vm.engine();
  ASSERT_NE(engine->breakpoints(), nullptr);
  const Gva tick{vm["tick"]}, counter{vm["counters"]};
  ASSERT_TRUE(engine->breakpoints()->insert_breakpoint(tick));
  for (std::uint64_t round = 0; round < 3; ++round) {
    vm.resume();
    EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, tick);
    EXPECT_EQ(vm.rip(), tick.value);
    EXPECT_EQ(vm.memory_u64(counter.value), round);
  }
  ASSERT_TRUE(engine->breakpoints()->remove_breakpoint(tick));
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

// Counts what it is asked, and wants the hit after so many.
class CountingFilter final : public hypervisor::StopFilter {
 public:
  explicit CountingFilter(int unwanted) : unwanted_(unwanted) {}
  bool wants_stop(VcpuId, const hypervisor::Exit&) override { return asked++ >= unwanted_; }
  int asked = 0;

 private:
  int unwanted_;
};

TEST_P(Conformance, AFilteredHitDoesNotLeaveTheGuest) {
  NEEDS(Feature::HardwareBreakpoints, Feature::Watchpoints);
  TestVm vm(GetParam(), "counters");
  hypervisor::Vm* const engine = &vm.engine();
  CountingFilter filter(7);
  if (engine->breakpoints() == nullptr || engine->filtered_stops() == nullptr)
    GTEST_SKIP() << "this engine takes no filter of stops";
  engine->filtered_stops()->set_filter(&filter);
  const Gva tick{vm["tick"]}, counter{vm["counters"]};
  ASSERT_TRUE(engine->breakpoints()->insert_breakpoint(tick));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, tick);
  EXPECT_EQ(vm.memory_u64(counter.value), 7u);
  EXPECT_EQ(filter.asked, 8);
  ASSERT_TRUE(engine->breakpoints()->remove_breakpoint(tick));
  filter.asked = 0;
  ASSERT_TRUE(engine->watchpoints()->insert_watchpoint(counter, 8, hypervisor::WatchKind::Write));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::Watchpoint>().address, counter);
  EXPECT_EQ(vm.memory_u64(counter.value), 15u);
  EXPECT_EQ(filter.asked, 8);
  ASSERT_TRUE(engine->watchpoints()->remove_watchpoint(counter, 8, hypervisor::WatchKind::Write));
  engine->filtered_stops()->set_filter(nullptr);
}

// What the debug server is to an engine that has it keep the int3s.
class Int3Filter final : public hypervisor::StopFilter {
 public:
  Int3Filter(hypervisor::Memory& memory, Gpa where, int unwanted)
      : memory_(memory), where_(where), unwanted_(unwanted) {
    EXPECT_TRUE(memory_.read_ram(where_, std::span(&hidden_, 1)));
    put(kInt3);
  }
  ~Int3Filter() override { put(hidden_); }
  bool wants_stop(VcpuId, const hypervisor::Exit& exit) override {
    return !std::holds_alternative<exit::Breakpoint>(exit) || asked++ >= unwanted_;
  }
  void uncover(VcpuId) override { put(hidden_); }
  void cover(VcpuId) override { put(kInt3); }
  std::atomic<int> asked{0};

 private:
  static constexpr std::byte kInt3{0xcc};
  void put(std::byte byte) { EXPECT_TRUE(memory_.write_ram(where_, std::span(&byte, 1))); }
  hypervisor::Memory& memory_;
  Gpa where_;
  int unwanted_;
  std::byte hidden_{};
};

TEST_P(Conformance, AnInt3ThatDoesNotCountIsPassedWithoutLeavingTheGuest) {
  NEEDS(Feature::Breakpoints, Feature::Steps);
  TestVm vm(GetParam(), "counters", 2);
  hypervisor::Vm* const engine = &vm.engine();
  if (engine->breakpoints() == nullptr || engine->physical_breakpoints() != nullptr)
    GTEST_SKIP() << "this engine needs no int3";
  vm.resume();
  vm.run_until_said("01");
  vm.suspend_all();
  const std::uint64_t before = vm.memory_u64(vm["counters"]) + vm.memory_u64(vm["counters"] + 8);
  constexpr int kUnwanted = 500;
  Int3Filter filter(vm.engine().memory(), {vm["tick"]}, kUnwanted);
  if (engine->filtered_stops() == nullptr) GTEST_SKIP() << "this engine takes no filter of stops";
  engine->filtered_stops()->set_filter(&filter);
  for (const std::uint32_t number : {0u, 1u}) {
    enable(vm, Capability::BreakpointExit, number);
    vm.resume(number);
  }
  const auto event = vm.next_event();
  ASSERT_TRUE(event && std::holds_alternative<exit::Breakpoint>(event->exit)) << describe(event);
  EXPECT_EQ(vm.rip(event->vcpu.value), vm["tick"]);
  // From now on every hit counts, so that the other one comes out too.
  vm.expect<exit::Breakpoint>(1 - event->vcpu.value);
  const std::uint64_t ticks =
      vm.memory_u64(vm["counters"]) + vm.memory_u64(vm["counters"] + 8) - before;
  EXPECT_EQ(ticks, static_cast<unsigned>(kUnwanted));
  EXPECT_EQ(filter.asked, kUnwanted + 2);
  engine->filtered_stops()->set_filter(nullptr);
}

// Called out of the guest between the answer and the instruction, a vCPU is not asked again.
TEST_P(Conformance, AnInt3ThatDoesNotCountIsAskedForOnceHoweverOftenTheVcpuIsCalledOut) {
  NEEDS(Feature::Breakpoints, Feature::Steps);
  TestVm vm(GetParam(), "counters");
  hypervisor::Vm* const engine = &vm.engine();
  if (engine->breakpoints() == nullptr || engine->physical_breakpoints() != nullptr)
    GTEST_SKIP() << "this engine needs no int3";
  Int3Filter filter(vm.engine().memory(), {vm["tick"]}, 1'000'000'000);
  if (engine->filtered_stops() == nullptr) GTEST_SKIP() << "this engine takes no filter of stops";
  engine->filtered_stops()->set_filter(&filter);
  enable(vm, Capability::BreakpointExit);
  for (int i = 0; i < 200; ++i) {
    vm.resume();
    if (i % 2 == 0) vm.runs_quietly(1);
    vm.engine().suspend({0});
    const auto event = vm.next_event();
    ASSERT_TRUE(event && std::holds_alternative<exit::Parked>(event->exit)) << describe(event);
  }
  const std::uint64_t asked = static_cast<unsigned>(filter.asked);
  const std::uint64_t ticks = vm.memory_u64(vm["counters"]);
  EXPECT_GE(asked, ticks);
  EXPECT_LE(asked, ticks + 1);
  engine->filtered_stops()->set_filter(nullptr);
}

TEST_P(Conformance, AWriteOfRipMakesABreakpointHitAgain) {
  NEEDS(Feature::HardwareBreakpoints);
  TestVm vm(GetParam(), "counters");
  hypervisor::Vm* const engine = &vm.engine();
  if (engine->breakpoints() == nullptr) GTEST_SKIP() << "this engine has no breakpoints";
  const Gva tick{vm["tick"]};
  ASSERT_TRUE(engine->breakpoints()->insert_breakpoint(tick));
  for (int i = 0; i < 3; ++i) {
    vm.resume();
    EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, tick);
    EXPECT_EQ(vm.memory_u64(vm["counters"]), 0u);
    vm.write(Register::Rip, tick.value);
  }
  ASSERT_TRUE(engine->breakpoints()->remove_breakpoint(tick));
}

}  // namespace
}  // namespace ringside::testing
