// The monitor trap with a range: all instructions within it, without leaving the guest.
#include <atomic>
#include <optional>

#include "conformance/conformance_test.h"
#include "hypervisor/guest_memory.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::Capability;
using hypervisor::WatchKind;

// The endless loop of `counters`, in which a range step stays for ever.
class RangeSteps : public Conformance {
 protected:
  void begin(unsigned vcpus) {
    vm_.emplace(GetParam(), "counters", vcpus);
    if (vcpus > 1) {
      vm_->resume();
      vm_->run_until_said("01");
      vm_->suspend_all();
    }
    vm_->step_to(at("entry_of_loop"));
    enable(*vm_, Capability::MonitorTrap);
    before_ = ticks();
  }
  std::uint64_t at(const char* symbol) const { return (*vm_)[symbol]; }
  void go() {
    ASSERT_TRUE(vm_->vcpu().step_within({at("entry_of_loop")}, {at("tick_end") + 1}));
    vm_->resume();
  }
  std::uint64_t ticks(unsigned vcpu = 0) { return vm_->physical_u64(at("counters") + 8 * vcpu); }
  bool ticks_on(std::uint64_t count, unsigned vcpu = 0) {
    const std::uint64_t before = ticks(vcpu);
    return vm_->runs_until([&] { return ticks(vcpu) >= before + count; });
  }

  // Since begin().
  std::uint64_t ticks_more() { return ticks() - before_; }

  std::optional<TestVm> vm_;
  std::uint64_t before_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Engines, RangeSteps, ::testing::ValuesIn(engine_kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(RangeSteps, GoOnWithoutLeavingTheGuest) {
  NEEDS(Feature::Steps);
  begin(1);
  for (int i = 0; i < 3; ++i) {
    go();
    EXPECT_TRUE(ticks_on(500));
    vm_->suspend_all();
    EXPECT_GE(vm_->rip(), at("entry_of_loop"));
    EXPECT_LE(vm_->rip(), at("tick_end"));
  }
}

TEST_P(RangeSteps, EndOutsideAndCountOnce) {
  NEEDS(Feature::Steps);
  begin(1);
  vm_->step();
  ASSERT_EQ(vm_->rip(), at("tick"));
  enable(*vm_, Capability::MonitorTrap);
  ASSERT_TRUE(vm_->vcpu().step_within({at("tick")}, {at("tick_end") + 1}));
  vm_->resume();
  vm_->expect<exit::MonitorTrap>();
  EXPECT_GT(vm_->rip(), at("entry_of_loop"));  // on the jump
  EXPECT_LT(vm_->rip(), at("tick"));
  EXPECT_EQ(ticks_more(), 1u);
  // Without a range a step is one instruction, wherever it is.
  for (const char* next : {"entry_of_loop", "tick", "tick_end"}) {
    vm_->resume();
    vm_->expect<exit::MonitorTrap>();
    EXPECT_EQ(vm_->rip(), at(next));
  }
}

TEST_P(RangeSteps, StopAtBreakpointsOfTheEngine) {
  NEEDS(Feature::Steps, Feature::HardwareBreakpoints);
  begin(1);
  hypervisor::Vm* const engine = &vm_->engine();
  const Gva tick_end{at("tick_end")};
  ASSERT_TRUE(engine->breakpoints()->insert_breakpoint(tick_end));
  for (std::uint64_t i = 1; i < 4; ++i) {
    go();
    EXPECT_EQ(vm_->expect<exit::HardwareBreakpoint>().address, tick_end);
    EXPECT_EQ(vm_->rip(), tick_end.value);
    EXPECT_EQ(ticks_more(), i);
  }
  // The filter counts here too.
  struct Tenth : hypervisor::StopFilter {
    bool wants_stop(VcpuId, const hypervisor::Exit&) override { return ++asked == 10; }
    std::atomic<unsigned> asked{0};
  } tenth;
  engine->filtered_stops()->set_filter(&tenth);
  go();
  vm_->expect<exit::HardwareBreakpoint>();
  EXPECT_EQ(ticks_more(), 13u);
  engine->filtered_stops()->set_filter(nullptr);
}

TEST_P(RangeSteps, StopAtAnInt3) {
  NEEDS(Feature::Steps, Feature::Breakpoints);
  begin(1);
  enable(*vm_, Capability::BreakpointExit);
  const std::byte int3{0xcc};
  ASSERT_TRUE(hypervisor::write_virtual(vm_->engine(), {0}, {at("tick_end")}, std::span(&int3, 1)));
  go();
  vm_->expect<exit::Breakpoint>();
  EXPECT_EQ(vm_->rip(), at("tick_end"));
  EXPECT_EQ(ticks_more(), 1u);
}

TEST_P(RangeSteps, StopAtWatchpoints) {
  NEEDS(Feature::Steps, Feature::Watchpoints);
  begin(1);
  const Gva counter{at("counters")};
  ASSERT_TRUE(vm_->engine().watchpoints()->insert_watchpoint(counter, 8, WatchKind::Write));
  for (std::uint64_t i = 1; i < 4; ++i) {
    go();
    EXPECT_EQ(vm_->expect<exit::Watchpoint>().address, counter);
    EXPECT_EQ(vm_->rip(), at("tick_end"));
    EXPECT_EQ(ticks_more(), i);
  }
}

TEST_P(RangeSteps, EndInHlt) {
  NEEDS(Feature::Steps, Feature::HardwareBreakpoints);
  vm_.emplace(GetParam(), "halt");
  vm_->resume();
  vm_->run_until_said("0");
  vm_->suspend_all();
  hypervisor::Vm* const engine = &vm_->engine();
  ASSERT_TRUE(engine->breakpoints()->insert_breakpoint({at("after_hlt")}));
  // An interrupt from the local APIC to itself wakes it.
  ASSERT_TRUE(vm_->engine().memory().mmio()->write_mmio({0}, Gpa{0xfee00300}, 4, 0x44041));
  vm_->resume();
  vm_->expect<exit::HardwareBreakpoint>();
  ASSERT_TRUE(engine->breakpoints()->remove_breakpoint({at("after_hlt")}));
  enable(*vm_, Capability::MonitorTrap);
  enable(*vm_, Capability::MaskInterrupts);
  ASSERT_TRUE(vm_->vcpu().step_within({at("at_hlt")}, {at("handler")}));
  vm_->resume();
  vm_->expect<exit::MonitorTrap>();
  EXPECT_EQ(vm_->rip(), at("after_hlt"));
  EXPECT_TRUE(vm_->vcpu().halted());
  EXPECT_EQ(vm_->memory_u64(at("wakes")), 1u);
}

// Steps keep the others out of the guest for moments, but not for good.
TEST_P(RangeSteps, LetTheOthersGetOn) {
  NEEDS(Feature::Steps, Feature::SecondVcpu);
  begin(2);
  go();
  vm_->resume(1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(ticks_on(1000, 1));
    EXPECT_TRUE(ticks_on(50, 0));
  }
  vm_->suspend_all();
}

}  // namespace
}  // namespace ringside::testing
