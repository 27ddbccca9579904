// Watchpoints, by debug registers and by page protection.
#include "conformance/conformance_test.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::Capability;
using x86::Register;

TEST_P(Conformance, AWatchpointStopsAfterTheAccess) {
  NEEDS(Feature::Watchpoints);
  TestVm vm(GetParam(), "counters");
  hypervisor::Vm* const engine = &vm.engine();
  ASSERT_NE(engine->watchpoints(), nullptr);
  const Gva counter{vm["counters"]};
  for (const auto kind : {hypervisor::WatchKind::Write, hypervisor::WatchKind::Access}) {
    const std::uint64_t before = vm.memory_u64(counter.value);
    ASSERT_TRUE(engine->watchpoints()->insert_watchpoint(counter, 8, kind));
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address, counter);
    EXPECT_EQ(vm.memory_u64(counter.value), before + 1);  // the access is complete
    ASSERT_TRUE(engine->watchpoints()->remove_watchpoint(counter, 8, kind));
  }
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

// The guest has a watchpoint of its own in DR0, and one trap for each round.
TEST_P(Conformance, TheGuestsOwnWatchpointAndOursShareTheDebugRegisters) {
  NEEDS(Feature::WatchRegisters, Feature::EveryInstruction);
  TestVm vm(GetParam(), "owndr");
  hypervisor::Vm* const engine = &vm.engine();
  if (engine->watchpoints() == nullptr) GTEST_SKIP() << "this engine has no watchpoints";
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  const Gva rounds{vm["rounds"]};
  ASSERT_TRUE(engine->watchpoints()->insert_watchpoint(rounds, 8, hypervisor::WatchKind::Write));
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t before = vm.memory_u64(rounds.value);
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address, rounds);
    EXPECT_EQ(vm.memory_u64(rounds.value), before + 1);
    EXPECT_EQ(vm.memory_u64(vm["traps"]), before + 1);
    // Kept across a step, in which the guest's own does not strike.
    vm.step();
  }
  ASSERT_TRUE(engine->watchpoints()->remove_watchpoint(rounds, 8, hypervisor::WatchKind::Write));
  ASSERT_TRUE(engine->breakpoints()->insert_breakpoint(Gva{vm["handler"]}));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, Gva{vm["handler"]});
  EXPECT_EQ(vm.memory_u64(vm["traps"]), vm.memory_u64(rounds.value));
  ASSERT_TRUE(engine->breakpoints()->remove_breakpoint(Gva{vm["handler"]}));
  // Bit 0 of DR6, and no other condition was ever seen.
  EXPECT_EQ(vm.memory_u64(vm["all_dr6"]) & 0xe00f, 1u);
}

// Stopped anywhere, also where it is about to read DR6, the guest does not get ours for its own.
TEST_P(Conformance, TheGuestsDebugRegistersStayItsOwn) {
  NEEDS(Feature::WatchRegisters, Feature::EveryInstruction);
  TestVm vm(GetParam(), "owndr");
  hypervisor::Vm* const engine = &vm.engine();
  if (engine->watchpoints() == nullptr) GTEST_SKIP() << "this engine has no watchpoints";
  const Gva rounds{vm["rounds"]};
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(engine->watchpoints()->insert_watchpoint(rounds, 8, hypervisor::WatchKind::Write));
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address, rounds);
    EXPECT_EQ(vm.read(x86::Register::Dr0), vm["watched"]);
    EXPECT_EQ(vm.read(x86::Register::Dr1), 0u);
    EXPECT_EQ(vm.read(x86::Register::Dr7) & 0xff, 2u);
    ASSERT_TRUE(engine->watchpoints()->remove_watchpoint(rounds, 8, hypervisor::WatchKind::Write));
    vm.resume();
    vm.suspend_all();
  }
  EXPECT_EQ(vm.memory_u64(vm["all_dr6"]) & 0xe00f, 1u);
}

// More than four, so that something other than debug registers has to watch.
class Watched : public TestVm {
 public:
  Watched(const EngineKind& kind, unsigned vcpus) : TestVm(kind, "watched", vcpus) {
    resume();
    run_until_said(vcpus == 1 ? "0" : "01");
    suspend_all();
    EXPECT_TRUE(watchpoints().insert_watchpoint({(*this)["filler"]}, 32, WatchKind::Write));
  }
  using WatchKind = hypervisor::WatchKind;
  hypervisor::Watchpoints& watchpoints() { return *engine().watchpoints(); }
  hypervisor::PhysicalWatchpoints& physical_watchpoints() {
    return *engine().physical_watchpoints();
  }
  void resume_all(unsigned vcpus) {
    for (std::uint32_t number = 0; number < vcpus; ++number)
      resume(number);
  }
};

TEST_P(Conformance, EveryKindOfAccessIsToldFromTheOthers) {
  NEEDS(Feature::PageWatches);
  Watched vm(GetParam(), 1);
  const std::uint64_t target = vm["target"], read = vm["after_read"],
                      increment = vm["after_increment"];
  using Kind = hypervisor::WatchKind;
  for (const Kind kind : {Kind::Write, Kind::Read, Kind::Access}) {
    ASSERT_TRUE(vm.watchpoints().insert_watchpoint({target}, 8, kind));
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t before = vm.memory_u64(target);
      vm.resume();
      const auto hit = vm.expect<exit::Watchpoint>();
      EXPECT_EQ(hit.address.value, target);
      EXPECT_EQ(hit.kind, kind);
      const std::uint64_t at = vm.rip();
      EXPECT_TRUE(at == increment || (kind != Kind::Write && at == read)) << std::hex << at;
      EXPECT_EQ(vm.memory_u64(target), before + (at == increment ? 1 : 0));
    }
    ASSERT_TRUE(vm.watchpoints().remove_watchpoint({target}, 8, kind));
  }
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

TEST_P(Conformance, PhysicalMemoryIsWatched) {
  NEEDS(Feature::PageWatches);
  Watched vm(GetParam(), 1);
  const Gpa target{vm["target"]};
  using Kind = hypervisor::WatchKind;
  ASSERT_TRUE(vm.physical_watchpoints().insert_physical_watchpoint(target, 1, Kind::Write));
  for (int i = 0; i < 4; ++i) {
    vm.resume();
    const auto hit = vm.expect<exit::PhysicalWatchpoint>();
    EXPECT_EQ(hit.address, target);
    EXPECT_FALSE(hit.by_device);
    EXPECT_EQ(vm.rip(), vm["after_increment"]);
  }
  ASSERT_TRUE(vm.physical_watchpoints().remove_physical_watchpoint(target, 1, Kind::Write));
  EXPECT_FALSE(vm.physical_watchpoints().remove_physical_watchpoint(target, 1, Kind::Write));
}

// Unaligned, of odd lengths, over two pages, several at once, and while the vCPU is stepped.
TEST_P(Conformance, WatchedRangesMayLieAnywhere) {
  NEEDS(Feature::PageWatches, Feature::Steps);
  Watched vm(GetParam(), 1);
  using Kind = hypervisor::WatchKind;
  const std::uint64_t crossing = vm["crossing"], area = vm["area"];
  ASSERT_TRUE(vm.watchpoints().insert_watchpoint({crossing + 3}, 4099, Kind::Write));
  for (int i = 0; i < 3; ++i) {
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address.value, crossing + 3);
    EXPECT_EQ(vm.rip(), vm["after_crossing"]);
    if (i == 0) {
      ASSERT_TRUE(vm.watchpoints().insert_watchpoint({area + 2}, 1, Kind::Access));
    }
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address.value, area + 2);
    EXPECT_EQ(vm.memory(area, 3), "cop");
  }
  vm.step_to(vm["after_increment"]);
  enable(vm, Capability::MonitorTrap);
  vm.resume();
  EXPECT_EQ(vm.expect<exit::Watchpoint>().address.value, crossing + 3);
  EXPECT_EQ(vm.rip(), vm["after_crossing"]);
}

// What shares the page with what is watched goes on as it would: locks, stacks, code.
TEST_P(Conformance, TheRestOfAWatchedPageIsAsEver) {
  NEEDS(Feature::PageWatches);
  using Kind = hypervisor::WatchKind;
  for (const Kind kind : {Kind::Write, Kind::Access}) {
    Watched vm(GetParam(), 2);
    ASSERT_TRUE(vm.watchpoints().insert_watchpoint({vm["unused"] + 5}, 3, kind));
    const std::uint64_t wanted[] = {vm.physical_u64(vm["rounds"]) + 100,
                                    vm.physical_u64(vm["rounds"] + 8) + 100};
    vm.resume_all(2);
    EXPECT_TRUE(vm.runs_until([&] {
      return vm.physical_u64(vm["rounds"]) > wanted[0] &&
             vm.physical_u64(vm["rounds"] + 8) > wanted[1];
    }));
    vm.suspend_all();
    // Each vCPU may be between its two counts, or in the midst of those of the function.
    const auto shared = static_cast<std::int64_t>(vm.memory_u64(vm["shared"]));
    const auto counted =
        static_cast<std::int64_t>(vm.memory_u64(vm["plain"]) + vm.memory_u64(vm["plain"] + 8));
    EXPECT_LE(std::abs(shared - counted), 2);
    EXPECT_EQ(vm.memory(vm["unused"], 64), std::string(64, '\0'));
  }
}

}  // namespace
}  // namespace ringside::testing
