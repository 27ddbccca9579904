// What the debug server relies on in an engine (hypervisor/vm.h), one test per promise, on every
// engine.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <vector>

#include "conformance/test_vm.h"
#include "x86/bits.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::Capability;
using hypervisor::VmEnd;
using x86::Register;

class Conformance : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    const std::string missing = GetParam().missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  // For a test's first line.
  static std::string lacks(std::initializer_list<Feature> features) {
    for (const Feature feature : features) {
      if (const std::string why = GetParam().lacks(feature); !why.empty()) return why;
    }
    return {};
  }
  static void expect_pages_of(const char* guest) {
    TestVm vm(GetParam(), guest);
    vm.resume();
    vm.run_until_said("r");
    vm.suspend_all();
    EXPECT_EQ(vm.memory(vm["small_page"], 11), "small frame") << guest;
    if (std::string_view(guest) == "flat32") return;
    EXPECT_EQ(vm.memory(vm["large_page"], 11), "large frame") << guest;
  }
  static void enable(TestVm& vm, Capability capability, std::uint32_t number = 0) {
    ASSERT_TRUE(vm.vcpu(number).set_capability(capability, true));
  }
};

#define NEEDS(...) \
  if (const std::string why = lacks({__VA_ARGS__}); !why.empty()) GTEST_SKIP() << why

INSTANTIATE_TEST_SUITE_P(Engines, Conformance, ::testing::ValuesIn(engine_kinds()),
                         [](const auto& kind) { return kind.param.name; });

// ---- running and stopping

TEST_P(Conformance, NothingRunsBeforeItIsResumed) {
  TestVm vm(GetParam(), "counters");
  EXPECT_TRUE(vm.runs_quietly(10));
  EXPECT_EQ(vm.rip(), vm.image().entry());
  EXPECT_FALSE(vm.vcpu().in_guest());
  EXPECT_TRUE(vm.vcpu().active());
}

TEST_P(Conformance, SuspendParksWithOneEvent) {
  TestVm vm(GetParam(), "counters");
  vm.resume();
  vm.run_until_said("0");
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(vm.vcpu().in_guest());
    vm.engine().suspend({0});
    vm.expect<exit::Parked>();
    EXPECT_FALSE(vm.vcpu().in_guest());
    vm.engine().suspend({0});  // without effect on one that is out
    const std::uint64_t before = vm.memory_u64(vm["counters"]);
    EXPECT_TRUE(vm.runs_quietly(3));
    EXPECT_EQ(vm.memory_u64(vm["counters"]), before);
    vm.resume();
  }
}

TEST_P(Conformance, OthersStartOutOfTheGuestAndRunWhenResumed) {
  NEEDS(Feature::SecondVcpu);
  TestVm vm(GetParam(), "counters", 3);
  EXPECT_FALSE(vm.vcpu(1).active());
  vm.resume(1);  // without effect
  EXPECT_FALSE(vm.vcpu(1).in_guest());
  vm.resume();
  std::set<std::uint32_t> started;
  while (started.size() < 2) {
    const auto event = vm.next_event();
    ASSERT_TRUE(event && std::holds_alternative<exit::Started>(event->exit)) << describe(event);
    EXPECT_TRUE(vm.vcpu(event->vcpu.value).active());
    EXPECT_FALSE(vm.vcpu(event->vcpu.value).in_guest());
    EXPECT_EQ(vm.rip(event->vcpu.value), 0u);
    EXPECT_EQ(vm.read(Register::CsBase, event->vcpu.value), 0x8000u);
    started.insert(event->vcpu.value);
  }
  vm.run_until_said("0");
  EXPECT_EQ(vm.said(), "0");
  vm.resume(1);
  vm.resume(2);
  vm.run_until_said("012");
  vm.suspend_all();
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(vm.read(Register::Rdi, i), i);
}

TEST_P(Conformance, OneVcpuRunsWhileOthersAreOut) {
  NEEDS(Feature::SecondVcpu);
  TestVm vm(GetParam(), "counters", 2);
  vm.resume();
  vm.run_until_said("01");
  vm.suspend_all();
  const std::uint64_t first = vm.memory_u64(vm["counters"]),
                      second = vm.memory_u64(vm["counters"] + 8);
  vm.resume(1);
  EXPECT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["counters"] + 8) > second; }));
  vm.suspend_all();
  EXPECT_EQ(vm.memory_u64(vm["counters"]), first);
}

TEST_P(Conformance, AHaltedVcpuParksAndStaysHalted) {
  TestVm vm(GetParam(), "halt");
  vm.resume();
  vm.run_until_said("0");
  const auto park = [&] {
    vm.suspend_all();
    return vm.vcpu().halted();
  };
  for (const Deadline deadline; !park() && !deadline.passed();) {  // until it comes to HLT
    vm.resume();
    EXPECT_TRUE(vm.runs_quietly(1));
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(vm.rip(), vm["after_hlt"]);
    vm.resume();
    EXPECT_TRUE(vm.runs_quietly(3));
    EXPECT_TRUE(park());
  }
  EXPECT_EQ(vm.memory_u64(vm["wakes"]), 0u);
  // An interrupt from the local APIC to itself wakes it.
  ASSERT_TRUE(vm.engine().memory().write_mmio({0}, {0xfee00300}, 4, 0x40041));
  vm.resume();
  EXPECT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["wakes"]) == 1; }));
  vm.suspend_all();
  EXPECT_EQ(vm.memory_u64(vm["sent"]), 1u);
}

// ---- the monitor trap

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
  ASSERT_TRUE(vm.engine().memory().write_mmio({0}, {0xfee00300}, 4, 0x40041));
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
  vm.step_to(vm["sled"]);
  if (!vm.vcpu().set_capability(Capability::MaskInterrupts, true)) GTEST_SKIP() << "cannot mask";
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

// ---- breakpoints

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
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  ASSERT_NE(stoppoints, nullptr);
  const Gva tick{vm["tick"]}, counter{vm["counters"]};
  ASSERT_TRUE(stoppoints->insert_breakpoint(tick));
  for (std::uint64_t round = 0; round < 3; ++round) {
    vm.resume();
    EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, tick);
    EXPECT_EQ(vm.rip(), tick.value);
    EXPECT_EQ(vm.memory_u64(counter.value), round);
  }
  ASSERT_TRUE(stoppoints->remove_breakpoint(tick));
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

TEST_P(Conformance, AWatchpointStopsAfterTheAccess) {
  NEEDS(Feature::Watchpoints);
  TestVm vm(GetParam(), "counters");
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  ASSERT_NE(stoppoints, nullptr);
  const Gva counter{vm["counters"]};
  for (const auto kind : {hypervisor::WatchKind::Write, hypervisor::WatchKind::Access}) {
    const std::uint64_t before = vm.memory_u64(counter.value);
    ASSERT_TRUE(stoppoints->insert_watchpoint(counter, 8, kind));
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address, counter);
    EXPECT_EQ(vm.memory_u64(counter.value), before + 1);  // the access is complete
    ASSERT_TRUE(stoppoints->remove_watchpoint(counter, 8, kind));
  }
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

// The guest has a watchpoint of its own in DR0, and one trap for each round.
TEST_P(Conformance, TheGuestsOwnWatchpointAndOursShareTheDebugRegisters) {
  NEEDS(Feature::WatchRegisters, Feature::EveryInstruction);
  TestVm vm(GetParam(), "owndr");
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  if (stoppoints == nullptr) GTEST_SKIP() << "not offered";
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  const Gva rounds{vm["rounds"]};
  ASSERT_TRUE(stoppoints->insert_watchpoint(rounds, 8, hypervisor::WatchKind::Write));
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t before = vm.memory_u64(rounds.value);
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address, rounds);
    EXPECT_EQ(vm.memory_u64(rounds.value), before + 1);
    EXPECT_EQ(vm.memory_u64(vm["traps"]), before + 1);
    // Kept across a step, in which the guest's own does not strike.
    vm.step();
  }
  ASSERT_TRUE(stoppoints->remove_watchpoint(rounds, 8, hypervisor::WatchKind::Write));
  ASSERT_TRUE(stoppoints->insert_breakpoint(Gva{vm["handler"]}));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, Gva{vm["handler"]});
  EXPECT_EQ(vm.memory_u64(vm["traps"]), vm.memory_u64(rounds.value));
  ASSERT_TRUE(stoppoints->remove_breakpoint(Gva{vm["handler"]}));
  // Bit 0 of DR6, and no other condition was ever seen.
  EXPECT_EQ(vm.memory_u64(vm["all_dr6"]) & 0xe00f, 1u);
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
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  CountingFilter filter(7);
  if (stoppoints == nullptr || !stoppoints->set_filter(&filter)) GTEST_SKIP() << "not offered";
  const Gva tick{vm["tick"]}, counter{vm["counters"]};
  ASSERT_TRUE(stoppoints->insert_breakpoint(tick));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, tick);
  EXPECT_EQ(vm.memory_u64(counter.value), 7u);
  EXPECT_EQ(filter.asked, 8);
  ASSERT_TRUE(stoppoints->remove_breakpoint(tick));
  filter.asked = 0;
  ASSERT_TRUE(stoppoints->insert_watchpoint(counter, 8, hypervisor::WatchKind::Write));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::Watchpoint>().address, counter);
  EXPECT_EQ(vm.memory_u64(counter.value), 15u);
  EXPECT_EQ(filter.asked, 8);
  ASSERT_TRUE(stoppoints->remove_watchpoint(counter, 8, hypervisor::WatchKind::Write));
  stoppoints->set_filter(nullptr);
}

// More than four, so that something other than debug registers has to watch.
class Watched : public TestVm {
 public:
  Watched(const EngineKind& kind, unsigned vcpus) : TestVm(kind, "watched", vcpus) {
    resume();
    run_until_said(vcpus == 1 ? "0" : "01");
    suspend_all();
    EXPECT_TRUE(stoppoints().insert_watchpoint({(*this)["filler"]}, 32, WatchKind::Write));
  }
  using WatchKind = hypervisor::WatchKind;
  hypervisor::Stoppoints& stoppoints() { return *engine().stoppoints(); }
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
    ASSERT_TRUE(vm.stoppoints().insert_watchpoint({target}, 8, kind));
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
    ASSERT_TRUE(vm.stoppoints().remove_watchpoint({target}, 8, kind));
  }
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(20));
}

TEST_P(Conformance, PhysicalMemoryIsWatched) {
  NEEDS(Feature::PageWatches);
  Watched vm(GetParam(), 1);
  const Gpa target{vm["target"]};
  using Kind = hypervisor::WatchKind;
  ASSERT_TRUE(vm.stoppoints().insert_physical_watchpoint(target, 1, Kind::Write));
  for (int i = 0; i < 4; ++i) {
    vm.resume();
    const auto hit = vm.expect<exit::PhysicalWatchpoint>();
    EXPECT_EQ(hit.address, target);
    EXPECT_FALSE(hit.by_device);
    EXPECT_EQ(vm.rip(), vm["after_increment"]);
  }
  ASSERT_TRUE(vm.stoppoints().remove_physical_watchpoint(target, 1, Kind::Write));
  EXPECT_FALSE(vm.stoppoints().remove_physical_watchpoint(target, 1, Kind::Write));
}

// Unaligned, of odd lengths, over two pages, several at once, and while the vCPU is stepped.
TEST_P(Conformance, WatchedRangesMayLieAnywhere) {
  NEEDS(Feature::PageWatches, Feature::Steps);
  Watched vm(GetParam(), 1);
  using Kind = hypervisor::WatchKind;
  const std::uint64_t crossing = vm["crossing"], area = vm["area"];
  ASSERT_TRUE(vm.stoppoints().insert_watchpoint({crossing + 3}, 4099, Kind::Write));
  for (int i = 0; i < 3; ++i) {
    vm.resume();
    EXPECT_EQ(vm.expect<exit::Watchpoint>().address.value, crossing + 3);
    EXPECT_EQ(vm.rip(), vm["after_crossing"]);
    if (i == 0) {
      ASSERT_TRUE(vm.stoppoints().insert_watchpoint({area + 2}, 1, Kind::Access));
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
    ASSERT_TRUE(vm.stoppoints().insert_watchpoint({vm["unused"] + 5}, 3, kind));
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
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  if (stoppoints == nullptr || stoppoints->has_physical_breakpoints())
    GTEST_SKIP() << "this engine needs no int3";
  vm.resume();
  vm.run_until_said("01");
  vm.suspend_all();
  const std::uint64_t before = vm.memory_u64(vm["counters"]) + vm.memory_u64(vm["counters"] + 8);
  constexpr int kUnwanted = 500;
  Int3Filter filter(vm.engine().memory(), {vm["tick"]}, kUnwanted);
  if (!stoppoints->set_filter(&filter)) GTEST_SKIP() << "not offered";
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
  stoppoints->set_filter(nullptr);
}

// Called out of the guest between the answer and the instruction, a vCPU is not asked again.
TEST_P(Conformance, AnInt3ThatDoesNotCountIsAskedForOnceHoweverOftenTheVcpuIsCalledOut) {
  NEEDS(Feature::Breakpoints, Feature::Steps);
  TestVm vm(GetParam(), "counters");
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  if (stoppoints == nullptr || stoppoints->has_physical_breakpoints())
    GTEST_SKIP() << "this engine needs no int3";
  Int3Filter filter(vm.engine().memory(), {vm["tick"]}, 1'000'000'000);
  if (!stoppoints->set_filter(&filter)) GTEST_SKIP() << "not offered";
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
  stoppoints->set_filter(nullptr);
}

TEST_P(Conformance, AWriteOfRipMakesABreakpointHitAgain) {
  NEEDS(Feature::HardwareBreakpoints);
  TestVm vm(GetParam(), "counters");
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  if (stoppoints == nullptr) GTEST_SKIP() << "not offered";
  const Gva tick{vm["tick"]};
  ASSERT_TRUE(stoppoints->insert_breakpoint(tick));
  for (int i = 0; i < 3; ++i) {
    vm.resume();
    EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address, tick);
    EXPECT_EQ(vm.memory_u64(vm["counters"]), 0u);
    vm.write(Register::Rip, tick.value);
  }
  ASSERT_TRUE(stoppoints->remove_breakpoint(tick));
}

TEST_P(Conformance, ARangeIsSteppedWithoutLeavingTheGuest) {
  TestVm vm(GetParam(), "counters");
  vm.step_to(vm["entry_of_loop"]);
  const Gva start{vm["entry_of_loop"]}, end{vm["tick_end"] + 1};
  // A step within the range of the endless loop never ends; a breakpoint in it does.
  if (!vm.vcpu().set_capability(Capability::MonitorTrap, true)) GTEST_SKIP() << "no steps";
  if (!vm.vcpu().step_within(start, end)) GTEST_SKIP() << "not offered";
  vm.resume();
  EXPECT_TRUE(vm.runs_quietly(5));
  vm.suspend_all();
  EXPECT_GT(vm.memory_u64(vm["counters"]), 1000u);
  hypervisor::Stoppoints* stoppoints = vm.engine().stoppoints();
  ASSERT_NE(stoppoints, nullptr);
  ASSERT_TRUE(stoppoints->insert_breakpoint(Gva{vm["tick_end"]}));
  ASSERT_TRUE(vm.vcpu().step_within(start, end));
  vm.resume();
  EXPECT_EQ(vm.expect<exit::HardwareBreakpoint>().address.value, vm["tick_end"]);
  // From the breakpoint on, and only while inside.
  ASSERT_TRUE(vm.vcpu().step_within(Gva{vm["tick_end"]}, end));
  vm.resume();
  vm.expect<exit::MonitorTrap>();
  EXPECT_GT(vm.rip(), start.value);
  EXPECT_LT(vm.rip(), vm["tick"]);
}

// ---- registers and memory

TEST_P(Conformance, WrittenRegistersAreTheGuests) {
  NEEDS(Feature::Steps);
  TestVm vm(GetParam(), "registers");
  vm.step_to(vm["spin"]);
  EXPECT_EQ(vm.read(Register::R15), 0x0123456789abcdefu);
  EXPECT_EQ(vm.read(Register::Eflags), 0xcd7u);
  EXPECT_EQ(vm.read(Register::Es), 0x23u);
  vm.write(Register::Rip, vm["main"]);
  vm.write(Register::Rbx, 5);
  vm.write(Register::Rsp, vm["spin"] + 0x10000);
  EXPECT_EQ(vm.read(Register::Rbx), 5u);
  vm.step_to(vm["spin"]);
  EXPECT_EQ(vm.read(Register::Rbx), 0x2222222222222222u);
}

TEST_P(Conformance, AWholeStateCanBeCopied) {
  NEEDS(Feature::Steps);
  TestVm vm(GetParam(), "counters");
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  vm.step_to(vm["tick"]);
  const x86::CpuState state = vm.vcpu().state().value();
  const std::uint64_t before = vm.memory_u64(vm["counters"]);
  vm.step();
  EXPECT_EQ(vm.rip(), vm["tick_end"]);
  ASSERT_TRUE(vm.vcpu().set_state(state));
  EXPECT_EQ(vm.rip(), vm["tick"]);
  vm.step();
  EXPECT_EQ(vm.memory_u64(vm["counters"]), before + 2);
}

TEST_P(Conformance, MemoryWithoutAndWithPaging) {
  for (const char* guest : {"flat32", "paging64"})
    expect_pages_of(guest);
}

TEST_P(Conformance, MemoryInLegacyPagingModes) {
  NEEDS(Feature::EveryInstruction);
  for (const char* guest : {"paging32", "pae"})
    expect_pages_of(guest);
}

TEST_P(Conformance, MemoryInFiveLevelPaging) {
  NEEDS(Feature::FiveLevelPaging);
  expect_pages_of("la57");
}

TEST_P(Conformance, DevicesAnswerForTheVcpuThatAsks) {
  NEEDS(Feature::SecondVcpu);
  TestVm vm(GetParam(), "counters", 2);
  hypervisor::Memory& memory = vm.engine().memory();
  EXPECT_EQ(memory.kind({0xfee00000}), hypervisor::MemoryKind::Mmio);
  EXPECT_EQ(memory.kind({0x100000}), hypervisor::MemoryKind::Ram);
  EXPECT_EQ(memory.kind({0x80000000}), hypervisor::MemoryKind::Nothing);
  EXPECT_EQ(memory.read_mmio({0}, {0xfee00020}, 4).value(), 0u);
  EXPECT_EQ(memory.read_mmio({1}, {0xfee00020}, 4).value(), 1u << 24);
  EXPECT_FALSE(memory.read_mmio({0}, {0x80000000}, 4));
}

// ---- determinism

// Where the guest is at the n-th timer interrupt, with a debugger that stops it now and then, reads
// and steps, or without one.
std::vector<std::uint64_t> at_interrupt(TestVm& vm, int interrupts, unsigned meddling) {
  vm.resume();
  vm.run_until_said("r");
  const Gva handler{vm["handler"]};
  EXPECT_TRUE(vm.engine().stoppoints()->insert_breakpoint(handler));
  std::uint32_t random = meddling;
  for (int i = 0; i < interrupts;) {
    random = random * 1664525 + 1013904223;
    if (meddling != 0 && (random >> 28) == 0) {
      vm.engine().suspend({0});
    }
    const auto event = vm.next_event();
    if (!event) throw std::runtime_error("the guest ended");
    if (std::holds_alternative<exit::HardwareBreakpoint>(event->exit)) ++i;
    if (meddling != 0) vm.memory(vm["sled"], 64);
    if (meddling != 0 && (random >> 24) % 4 == 0 && i < interrupts && vm.rip() != handler.value)
      vm.step();
    if (i < interrupts) vm.resume();
  }
  return {vm.vcpu().instructions()->value, vm.memory_u64(vm["rounds"]),
          vm.memory_u64(vm.read(Register::Rsp)), vm.engine().now().ns};
}

TEST_P(Conformance, TwoRunsAreTheSameAlsoUnderADebugger) {
  TestVm first(GetParam(), "interrupts");
  if (!first.vcpu().instructions() || first.engine().stoppoints() == nullptr)
    GTEST_SKIP() << "not a deterministic engine";
  const auto expected = at_interrupt(first, 300, 0);
  for (const unsigned meddling : {0u, 1u, 2u, 3u}) {
    TestVm again(GetParam(), "interrupts");
    EXPECT_EQ(at_interrupt(again, 300, meddling), expected) << meddling;
  }
}

// ---- the end

TEST_P(Conformance, EveryEnding) {
  struct Case {
    const char* guest;
    VmEnd::Kind kind;
  };
  for (const Case& ending : {Case{"end_reboot", VmEnd::Kind::Reboot},
                             {"end_power_off", VmEnd::Kind::PowerOff},
                             {"end_halt", VmEnd::Kind::Halt},
                             {"end_triple_fault", VmEnd::Kind::TripleFault},
                             {"end_debug_exit", VmEnd::Kind::DebugExit}}) {
    TestVm vm(GetParam(), ending.guest);
    vm.resume();
    vm.run_until_said("r");
    vm.type('x');
    const auto event = vm.next_event();
    EXPECT_FALSE(event) << describe(event);
    ASSERT_TRUE(vm.engine().ended());
    EXPECT_EQ(vm.engine().ended()->kind, ending.kind) << ending.guest;
  }
}

TEST_P(Conformance, AStopInsteadOfDeath) {
  TestVm vm(GetParam(), "end_triple_fault");
  vm.engine().stop_instead_of_death(true);
  vm.resume();
  vm.run_until_said("r");
  vm.type('x');
  EXPECT_FALSE(vm.expect<exit::Dead>().reason.empty());
  EXPECT_FALSE(vm.engine().ended());
  EXPECT_GE(vm.rip(), vm["go"]);
}

}  // namespace
}  // namespace ringside::testing
