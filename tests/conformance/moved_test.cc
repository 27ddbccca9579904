// A vCPU whose RIP the debugger writes executes there next, whatever it waited for; except one that
// waits to be started.
#include "conformance/conformance_test.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using x86::Register;

constexpr std::uint64_t kCommandLow = 0xfee00300, kCommandHigh = 0xfee00310;

void send_to_second(TestVm& vm, std::uint32_t command) {
  ASSERT_TRUE(vm.engine().memory().mmio()->write_mmio({0}, {kCommandHigh}, 4, 1u << 24));
  ASSERT_TRUE(vm.engine().memory().mmio()->write_mmio({0}, {kCommandLow}, 4, command));
}

// Brings vCPUs out as they stand until one is in HLT, or waits.
void await_halted(TestVm& vm, std::uint32_t number = 0) {
  vm.suspend_all();
  for (const Deadline deadline; !vm.vcpu(number).halted() && !deadline.passed();) {
    vm.resume(number);
    EXPECT_TRUE(vm.runs_quietly(1));
    vm.suspend_all();
  }
  ASSERT_TRUE(vm.vcpu(number).halted());
}

TEST_P(Conformance, AWriteOfRipEndsHlt) {
  NEEDS(Feature::Steps);
  TestVm vm(GetParam(), "halt");
  vm.resume();
  vm.run_until_said("0");
  await_halted(vm);
  ASSERT_EQ(vm.rip(), vm["after_hlt"]);
  vm.write(Register::Rax, 5);
  EXPECT_TRUE(vm.vcpu().halted());
  const auto state = vm.vcpu().state();
  ASSERT_TRUE(state);
  ASSERT_TRUE(vm.vcpu().set_state(*state));
  EXPECT_TRUE(vm.vcpu().halted());
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(3));
  await_halted(vm);
  EXPECT_EQ(vm.memory_u64(vm["wakes"]), 0u);

  vm.write(Register::Rip, vm["after_hlt"]);  // its own value
  EXPECT_FALSE(vm.vcpu().halted());
  enable(vm, hypervisor::Capability::MaskInterrupts);
  vm.step();
  EXPECT_EQ(vm.memory_u64(vm["wakes"]), 1u);
  vm.step();
  EXPECT_EQ(vm.rip(), vm["at_hlt"]);
  ASSERT_TRUE(vm.vcpu().set_capability(hypervisor::Capability::MaskInterrupts, false));
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(1));
  await_halted(vm);

  auto moved = vm.vcpu().state();
  ASSERT_TRUE(moved);
  ASSERT_EQ(moved->rip, vm["after_hlt"]);
  moved->rip = vm["main"];
  ASSERT_TRUE(vm.vcpu().set_state(*moved));
  EXPECT_FALSE(vm.vcpu().halted());
  vm.step();
  EXPECT_NE(vm.rip(), vm["main"]);

  // It is in order otherwise: it goes round to its HLT, and an interrupt ends that.
  vm.write(Register::Rip, vm["at_hlt"]);
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(1));
  await_halted(vm);
  const std::uint64_t wakes = vm.memory_u64(vm["wakes"]);
  ASSERT_TRUE(vm.engine().memory().mmio()->write_mmio({0}, {kCommandLow}, 4, 0x40041));
  vm.resume();
  EXPECT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["wakes"]) == wakes + 1; }));
}

// After INIT a processor executes nothing until its start-up IPI, which says where (SDM 3A 8.4.4).
TEST_P(Conformance, AWriteOfRipStartsNobody) {
  NEEDS(Feature::SecondVcpu);
  TestVm vm(GetParam(), "counters", 2);
  vm.resume();
  vm.run_until_said("01");
  vm.suspend_all();
  send_to_second(vm, 0x4500);
  await_halted(vm, 1);
  const std::uint64_t count = vm.physical_u64(vm["counters"] + 8);
  vm.write(Register::Rip, 0x1000, 1);
  EXPECT_TRUE(vm.vcpu(1).halted());
  auto state = vm.vcpu(1).state();
  ASSERT_TRUE(state);
  state->rip = 0x2000;
  ASSERT_TRUE(vm.vcpu(1).set_state(*state));
  EXPECT_TRUE(vm.vcpu(1).halted());
  vm.resume(1);
  EXPECT_TRUE(vm.runs_quietly(20));
  vm.suspend_all();
  EXPECT_TRUE(vm.vcpu(1).halted());
  EXPECT_EQ(vm.rip(1), 0x2000u);
  EXPECT_EQ(vm.physical_u64(vm["counters"] + 8), count);
  send_to_second(vm, 0x4608);
  vm.resume(1);
  EXPECT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["counters"] + 8) > count; }));
}

}  // namespace
}  // namespace ringside::testing
