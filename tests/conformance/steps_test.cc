// The monitor trap: exactly one instruction.
#include <sched.h>

#include "conformance/conformance_test.h"
#include "ringside/x86/bits.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::Capability;
using x86::Register;

struct Step {
  const char* from;
  const char* to;
};

TEST_P(Conformance, TheMonitorTrapComesAfterExactlyOneInstruction) {
  NEEDS(Feature::Steps, Feature::EveryInstruction);
  TestVm vm(GetParam(), "steps");
  // Its timer is due at once where steps take their time.
  ASSERT_TRUE(vm.vcpu().set_capability(Capability::MaskInterrupts, true));
  for (const Step& step : {Step{"at_pushf", "after_pushf"},
                           {"at_popf", "after_popf"},
                           {"at_cli", "after_cli"},
                           {"at_sti", "after_sti"},
                           {"at_iret", "after_iret"},
                           {"at_syscall", "at_syscall_entry"},
                           {"at_movss", "after_movss"},
                           {"at_int", "on_int"},
                           {"at_ud2", "on_ud2"},
                           {"at_fault", "on_fault"},
                           {"at_hlt", "after_hlt"}}) {
    vm.step_to(vm[step.from]);
    const auto before = vm.vcpu().instructions();
    vm.step();
    EXPECT_EQ(vm.rip(), vm[step.to]) << step.from;
    EXPECT_EQ(vm.read(Register::Eflags) & x86::rflags::TF, 0u) << step.from;
    // A fault retires nothing.
    if (before && step.to[0] != 'o') {
      EXPECT_EQ(vm.vcpu().instructions()->value, before->value + 1) << step.from;
    }
  }
  EXPECT_EQ(vm.memory_u64(vm["pushed_flags"]) & x86::rflags::TF, 0u);
  EXPECT_EQ(vm.memory_u64(vm["popped_flags"]) & x86::rflags::TF, 0u);
}

TEST_P(Conformance, ARepeatedInstructionTrapsAfterEachIteration) {
  NEEDS(Feature::Steps, Feature::EveryInstruction);
  TestVm vm(GetParam(), "steps");
  vm.step_to(vm["at_rep"]);
  for (unsigned left = 15; left > 0; --left) {
    vm.step();
    ASSERT_EQ(vm.rip(), vm["at_rep"]);
    ASSERT_EQ(vm.read(Register::Rcx), left);
  }
  vm.step();
  EXPECT_EQ(vm.rip(), vm["after_rep"]);
}

TEST_P(Conformance, AStepInHltWaitsForAnInterruptAndEndsInItsHandler) {
  NEEDS(Feature::Steps, Feature::EveryInstruction);
  TestVm vm(GetParam(), "halt");
  vm.step_to(vm["at_hlt"]);
  vm.step();
  ASSERT_EQ(vm.rip(), vm["after_hlt"]);
  ASSERT_TRUE(vm.vcpu().halted());
  enable(vm, Capability::MonitorTrap);
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(5));
  vm.suspend_all();
  EXPECT_TRUE(vm.vcpu().halted());
  EXPECT_EQ(vm.rip(), vm["after_hlt"]);
  vm.resume();
  ASSERT_TRUE(vm.engine().memory().mmio()->write_mmio({0}, {0xfee00300}, 4, 0x40041));
  vm.expect<exit::MonitorTrap>();
  EXPECT_EQ(vm.rip(), vm["handler"]);
  EXPECT_FALSE(vm.vcpu().halted());
  const std::uint64_t frame = vm.read(Register::Rsp);
  EXPECT_EQ(vm.memory_u64(frame), vm["after_hlt"]);
  EXPECT_EQ(vm.memory_u64(frame + 16) & x86::rflags::TF, 0u);
  EXPECT_EQ(vm.memory_u64(vm["sent"]), 0u);
  vm.step();
  EXPECT_EQ(vm.memory_u64(vm["sent"]), 1u);
}

TEST_P(Conformance, WithInterruptsMaskedAStepStaysOnItsPath) {
  NEEDS(Feature::Steps);
  TestVm vm(GetParam(), "interrupts");
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  if (!vm.vcpu().set_capability(Capability::MaskInterrupts, true))
    GTEST_SKIP() << "this engine does not mask interrupts in a step";
  // Where a step takes longer than the timer's period, the sled is come to by masked steps alone.
  vm.step_to(vm["sled"]);
  const std::uint64_t ticks = vm.memory_u64(vm["ticks"]);
  for (int i = 0; i < 3000; ++i) {
    vm.step();
    const std::uint64_t now = vm.rip();
    ASSERT_TRUE(now >= vm["sled"] && now <= vm["sled_end"]) << std::hex << now;
  }
  EXPECT_EQ(vm.memory_u64(vm["ticks"]), ticks);
  ASSERT_TRUE(vm.vcpu().set_capability(Capability::MaskInterrupts, false));
  vm.resume();
  EXPECT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["ticks"]) > ticks; }));
}

// This thread, and those that it starts, on the processor that it is on.
class OneProcessor {
 public:
  OneProcessor() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &here);
    sched_setaffinity(0, sizeof here, &here);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// A vCPU that is taken out while KVM holds an interrupt it has not delivered yet: the interrupt
// waits until the step is made. That is rare, and less so where both threads share a processor.
TEST_P(Conformance, AStepHoldsBackAnInterruptThatWasUnderWay) {
  NEEDS(Feature::Steps);
  const OneProcessor one_processor;
  TestVm vm(GetParam(), "interrupts");
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  if (!vm.vcpu().set_capability(Capability::MaskInterrupts, true))
    GTEST_SKIP() << "this engine does not mask interrupts in a step";
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(vm.vcpu().set_capability(Capability::MaskInterrupts, false));
    const std::uint64_t ticks = vm.physical_u64(vm["ticks"]);
    vm.resume();
    ASSERT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["ticks"]) > ticks; }));
    vm.suspend_all();
    ASSERT_TRUE(vm.vcpu().set_capability(Capability::MaskInterrupts, true));
    const bool outside = vm.rip() >= vm["sled"] && vm.rip() <= vm["sled_end"];
    vm.step();
    if (!outside) continue;
    const std::uint64_t now = vm.rip();
    ASSERT_TRUE(now >= vm["sled"] && now <= vm["sled_end"]) << i << ": " << std::hex << now;
  }
}

}  // namespace
}  // namespace ringside::testing
