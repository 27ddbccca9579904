// Running, stopping and ending; registers, memory and devices; determinism.
#include <cpuid.h>

#include <set>
#include <vector>

#include "conformance/conformance_test.h"
#include "engine/soft/cpu/cpuid.h"
#include "x86/msr_numbers.h"
#include "x86/register_table.h"

namespace ringside::testing {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
using x86::Register;

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

bool parks_halted(TestVm& vm) {
  vm.suspend_all();
  return vm.vcpu().halted();
}

// The guest `halt`, from its start.
void run_into_hlt(TestVm& vm) {
  vm.resume();
  vm.run_until_said("0");
  for (const Deadline deadline; !parks_halted(vm) && !deadline.passed();) {
    vm.resume();
    EXPECT_TRUE(vm.runs_quietly(1));
  }
}

TEST_P(Conformance, AHaltedVcpuParksAndStaysHalted) {
  TestVm vm(GetParam(), "halt");
  run_into_hlt(vm);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(vm.rip(), vm["after_hlt"]);
    vm.resume();
    EXPECT_TRUE(vm.runs_quietly(3));
    EXPECT_TRUE(parks_halted(vm));
  }
  EXPECT_EQ(vm.memory_u64(vm["wakes"]), 0u);
  // An interrupt from the local APIC to itself wakes it.
  ASSERT_TRUE(vm.engine().memory().mmio()->write_mmio({0}, {0xfee00300}, 4, 0x40041));
  vm.resume();
  EXPECT_TRUE(vm.runs_until([&] { return vm.physical_u64(vm["wakes"]) == 1; }));
  vm.suspend_all();
  EXPECT_EQ(vm.memory_u64(vm["sent"]), 1u);
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
  vm.write(Register::Mxcsr, 0x1fa0);
  vm.step();
  EXPECT_EQ(vm.read(Register::Mxcsr), 0x1fa0u);
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

void expect_pages_of(const EngineKind& kind, const char* guest) {
  TestVm vm(kind, guest);
  vm.resume();
  vm.run_until_said("r");
  vm.suspend_all();
  EXPECT_EQ(vm.memory(vm["small_page"], 11), "small frame") << guest;
  if (std::string_view(guest) == "flat32") return;
  EXPECT_EQ(vm.memory(vm["large_page"], 11), "large frame") << guest;
}

TEST_P(Conformance, MemoryWithoutAndWithPaging) {
  for (const char* guest : {"flat32", "paging64"})
    expect_pages_of(GetParam(), guest);
}

TEST_P(Conformance, MemoryInLegacyPagingModes) {
  NEEDS(Feature::EveryInstruction);
  for (const char* guest : {"paging32", "pae"})
    expect_pages_of(GetParam(), guest);
}

TEST_P(Conformance, MemoryInFiveLevelPaging) {
  NEEDS(Feature::FiveLevelPaging);
  expect_pages_of(GetParam(), "la57");
}

TEST_P(Conformance, DevicesAnswerForTheVcpuThatAsks) {
  NEEDS(Feature::SecondVcpu);
  TestVm vm(GetParam(), "counters", 2);
  hypervisor::Memory& memory = vm.engine().memory();
  EXPECT_EQ(memory.kind({0xfee00000}), hypervisor::MemoryKind::Mmio);
  EXPECT_EQ(memory.kind({0x100000}), hypervisor::MemoryKind::Ram);
  EXPECT_EQ(memory.kind({0x80000000}), hypervisor::MemoryKind::Nothing);
  EXPECT_EQ(memory.mmio()->read_mmio({0}, {0xfee00020}, 4).value(), 0u);
  EXPECT_EQ(memory.mmio()->read_mmio({1}, {0xfee00020}, 4).value(), 1u << 24);
  EXPECT_FALSE(memory.mmio()->read_mmio({0}, {0x80000000}, 4));
}

// ---- determinism

// Where the guest is at the n-th timer interrupt, with a debugger that stops it now and then, reads
// and steps, or without one.
std::vector<std::uint64_t> at_interrupt(TestVm& vm, int interrupts, unsigned meddling) {
  vm.resume();
  vm.run_until_said("r");
  const Gva handler{vm["handler"]};
  EXPECT_TRUE(vm.engine().breakpoints()->insert_breakpoint(handler));
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
  if (!first.vcpu().instructions() || first.engine().breakpoints() == nullptr)
    GTEST_SKIP() << "only the software CPU is deterministic";
  const auto expected = at_interrupt(first, 300, 0);
  for (const unsigned meddling : {0u, 1u, 2u, 3u}) {
    TestVm again(GetParam(), "interrupts");
    EXPECT_EQ(at_interrupt(again, 300, meddling), expected) << meddling;
  }
}

// ---- a reset

TEST_P(Conformance, AResetMustFindEverybodyOut) {
  TestVm vm(GetParam(), "counters");
  vm.resume();
  vm.run_until_said("0");
  EXPECT_EQ(vm.engine().reset(x86::reset_state()).error().code(), ErrorCode::Busy);
  vm.suspend_all();
  vm.reset();
  EXPECT_EQ(vm.rip(), vm.image().entry());
  vm.resume();
  vm.run_until_said("0");
}

std::vector<x86::RegisterValue> registers_of(TestVm& vm, std::uint32_t number) {
  std::vector<x86::RegisterValue> values;
  for (std::size_t i = 0; i < x86::kRegisterCount; ++i) {
    const auto value = vm.vcpu(number).read_register(static_cast<Register>(i));
    values.push_back(value ? *value : x86::RegisterValue{});
  }
  return values;
}

// MAXPHYADDR; the guest has the host's under KVM.
unsigned host_physical_address_bits() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx) != 0 ? eax & 0xff : 36;
}

TEST_P(Conformance, TheApicsBaseIsAPhysicalAddress) {
  if (host_physical_address_bits() >= 52) GTEST_SKIP() << "this host has no wider address";
  TestVm vm(GetParam(), "int3");
  const std::uint64_t base = vm.vcpu().read_msr(x86::msr::kApicBase).value();
  EXPECT_FALSE(vm.vcpu().write_msr(x86::msr::kApicBase, base | std::uint64_t{1} << 51));
  EXPECT_EQ(vm.vcpu().read_msr(x86::msr::kApicBase).value(), base);
  EXPECT_TRUE(vm.vcpu().write_msr(x86::msr::kApicBase, base));
}

TEST_P(Conformance, ProtectionKeysAreKeptOrRefused) {
  TestVm vm(GetParam(), "counters");
  const auto rights = x86::RegisterValue::from_u64(0x55555554);
  const bool kept = vm.vcpu().write_register(Register::Pkru, rights).has_value();
  const std::uint64_t expected = kept ? rights.as_u64() : 0;
  EXPECT_EQ(vm.read(Register::Pkru), expected);
  vm.resume();
  vm.run_until_said("0");
  vm.suspend_all();
  EXPECT_EQ(vm.read(Register::Pkru), expected);
}

// EAX of CPUID leaf 1, as the guest has it.
std::uint32_t signature_on(const EngineKind& kind) {
  if (kind.name == "soft") return soft::kProcessorSignature;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 ? eax : 0;
}

// SDM 3A table 9-1, of a processor that has been in 64-bit mode.
TEST_P(Conformance, InitLeavesTheCachesOnAndTheSignatureInRdx) {
  NEEDS(Feature::SecondVcpu, Feature::Steps);
  TestVm vm(GetParam(), "counters", 2);
  vm.resume();
  vm.run_until_said("01");
  vm.suspend_all();
  constexpr std::uint64_t kCaching = x86::cr0::CD | x86::cr0::NW;
  ASSERT_EQ(vm.read(Register::Cr0, 1) & kCaching, 0u);
  ASSERT_TRUE(vm.vcpu(1).write_msr(x86::msr::kLstar, 0x123456789));
  vm.write(Register::Dr0, 0x1234, 1);
  vm.write(Register::Rip, vm["start_aps"]);
  vm.resume(1);  // the kernel's APIC sees INIT when its vCPU runs
  vm.step_to(vm["send_start_up"]);
  vm.engine().suspend({1});
  vm.expect<exit::Parked>(1);
  const std::vector<std::pair<Register, std::uint64_t>> expected{
      {Register::Rip, 0xfff0},
      {Register::Cs, 0xf000},
      {Register::CsBase, 0xffff0000},
      {Register::Eflags, 2},
      {Register::Cr0, x86::cr0::ET},
      {Register::Cr2, 0},
      {Register::Cr3, 0},
      {Register::Cr4, 0},
      {Register::Efer, 0},
      {Register::Rdx, signature_on(GetParam())},
      {Register::Rax, 0},
      {Register::Rsp, 0},
      {Register::Dr0, 0},
      {Register::Dr6, 0xffff0ff0},
      {Register::Dr7, 0x400},
      {Register::GdtrLimit, 0xffff},
      {Register::IdtrBase, 0}};
  for (const auto& [name, value] : expected)
    EXPECT_EQ(vm.read(name, 1), value) << x86::info(name).name;
  EXPECT_EQ(vm.vcpu(1).read_msr(x86::msr::kLstar).value(), 0x123456789u);
  const std::size_t said = vm.said().size();
  // The start-up message goes out; start_aps was jumped to, and has nowhere to return to.
  for (unsigned instruction = 0; instruction < 4; ++instruction)
    vm.step();
  vm.resume(1);
  EXPECT_TRUE(vm.runs_until([&] { return vm.said().find('1', said) != std::string::npos; }));
}

TEST_P(Conformance, AResetIsAsAtPowerOn) {
  NEEDS(Feature::SecondVcpu);
  TestVm vm(GetParam(), "wired", 3);
  const std::string controllers = vm.controllers();
  const auto registers = registers_of(vm, 0);
  const std::uint64_t lstar = vm.vcpu().read_msr(x86::msr::kLstar).value();
  for (int round = 0; round < 3; ++round) {
    vm.resume();
    vm.run_until_said("012");
    vm.suspend_all();
    EXPECT_NE(vm.controllers(), controllers);
    ASSERT_TRUE(vm.vcpu().write_msr(x86::msr::kLstar, 0x123456789));
    ASSERT_TRUE(vm.vcpu().inject_exception({x86::Vector::InvalidOpcode, std::nullopt, 0}));
    vm.reset();
    for (std::uint32_t i = 1; i < 3; ++i) {
      EXPECT_FALSE(vm.vcpu(i).active());
      EXPECT_EQ(vm.rip(i), 0xfff0u);
      vm.resume(i);  // without effect
      EXPECT_FALSE(vm.vcpu(i).in_guest());
    }
    EXPECT_TRUE(vm.vcpu().active());
    EXPECT_FALSE(vm.vcpu().halted());
    const auto now = registers_of(vm, 0);
    for (std::size_t i = 0; i < now.size(); ++i)
      EXPECT_EQ(now[i].bytes, registers[i].bytes) << "register " << i;
    EXPECT_EQ(vm.vcpu().read_msr(x86::msr::kLstar).value(), lstar);
    // Nothing is requested, now or later: the timers stand still.
    EXPECT_EQ(vm.controllers(), controllers);
    EXPECT_TRUE(vm.runs_quietly(20));
    EXPECT_EQ(vm.controllers(), controllers);
  }
  // Others that were resumed with the boot processor start when the guest starts them.
  vm.resume();
  std::set<std::uint32_t> started;
  while (started.size() < 2) {
    const auto event = vm.next_event();
    ASSERT_TRUE(event && std::holds_alternative<exit::Started>(event->exit)) << describe(event);
    EXPECT_EQ(vm.rip(event->vcpu.value), 0u);
    started.insert(event->vcpu.value);
  }
}

// A guest in HLT, in a device that does not answer, or beyond help begins again all the same.
TEST_P(Conformance, AResetEndsWhateverAVcpuWaitsFor) {
  {
    TestVm vm(GetParam(), "halt");
    run_into_hlt(vm);
    vm.reset();
    EXPECT_FALSE(vm.vcpu().halted());
    vm.resume();
    vm.run_until_said("0");
  }
  TestVm vm(GetParam(), "end_triple_fault");
  vm.engine().stop_instead_of_death(true);
  for (int round = 0; round < 3; ++round) {
    vm.resume();
    vm.run_until_said("r");
    vm.type('x');
    vm.expect<exit::Dead>();
    vm.reset();
    EXPECT_EQ(vm.rip(), vm.image().entry());
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
