#include "time/record/inputs.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "base/state_hash.h"
#include "engine/soft/soft_vm.h"
#include "time/record/apply.h"

namespace ringside::time {
namespace {

namespace change = hypervisor::change;

std::optional<Input> input_of(const std::string& words, unsigned vcpus = 2) {
  std::istringstream stream(words);
  return input_of_words(stream, vcpus);
}

TEST(Inputs, EachHasWordsThatSayIt) {
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{0xff}};
  x86::CpuState state;
  std::memset(&state.fpu.vector, 0x5a, sizeof state.fpu.vector);
  state.rip = 0x123456789abcdef0;
  const Input inputs[] = {
      machine::SerialInput{1, bytes},
      machine::SerialInput{0, {}},
      machine::GuestGdbInput{bytes},
      machine::GuestGdbConnection{true},
      machine::GuestGdbConnection{false},
      machine::NetworkInput{bytes},
      machine::ShareInput{7, bytes},
      machine::ConsoleInput{bytes},
      machine::KeyInput{bytes},
      machine::VsockInput{bytes},
      machine::VsockInput{},
      machine::RandomInput{bytes},
      machine::DiskFailure{7, 12345678901, machine::DiskFailure::Until::Next, 0},
      machine::DiskFailure{7, 8, machine::DiskFailure::Until::Next, 4100},
      machine::DiskFailure{0, 0, machine::DiskFailure::Until::End, 0},
      NonMaskableInterrupt{{1}},
      PowerButton{},
      MachineReset{},
      hypervisor::Supervision{2, 1, true},
      change::RegisterWrite{{1}, x86::Register::Rip, x86::RegisterValue::from_u64(7)},
      change::StateWrite{{0}, state},
      change::MsrWrite{{0}, 0xc0000082, ~std::uint64_t{0}},
      change::MemoryWrite{{0xffe}, bytes},
      change::DeviceWrite{{1}, {0xfee00080}, 4, 0x20},
      change::InjectedException{{0}, {x86::Vector::PageFault, 2, 0x1000}},
      change::InjectedException{{0}, {x86::Vector::Breakpoint, std::nullopt, 0}},
      change::InsnLength{{0}, 3}};
  std::size_t kinds = 0;
  for (const Input& input : inputs) {
    const std::string words = to_words(input);
    const auto again = input_of(words);
    ASSERT_TRUE(again) << words;
    EXPECT_EQ(again->index(), input.index()) << words;
    EXPECT_EQ(to_words(*again), words);
    kinds = std::max(kinds, input.index() + 1);
  }
  EXPECT_EQ(kinds, std::variant_size_v<Input>);
}

TEST(Inputs, WhatNoMachineCanHaveIsRefused) {
  for (const char* words : {"",
                            "unknown",
                            "nmi",
                            "nmi 2",
                            "nmi -1",
                            "nmi 99999999999999999999",
                            "nmi 0 0",
                            "reset 1",
                            "power-button -",
                            "share 8 00",
                            "console",
                            "console 0",
                            "vsock 0",
                            "random 00 00",
                            "disk-failure 0 1",
                            "disk-failure 0 1 4294967296",
                            "disk-gone 0 1 0",
                            "serial2 00",
                            "serial0",
                            "serial0 0g",
                            "register 0 rax 00",
                            "register 0 nonsense 00000000000000000000000000000000",
                            "state 0 00",
                            "state 0 -",
                            "msr 0 100000000 0",
                            "memory 0 -",
                            "memory fff 0000",
                            "memory x 00",
                            "device 0 1 2 0",
                            "device 0 0 3 0",
                            "device 0 0 0 0",
                            "device 0 0 4 100000000",
                            "exception 0 32 - 0",
                            "exception 0 14 10000 0",
                            "insn-length 0 16",
                            "supervision held 4 masked 0 deaths final",
                            "supervision held 0 masked 0 deaths perhaps",
                            "supervision held 0 masked 0"}) {
    EXPECT_FALSE(input_of(words)) << words;
  }
}

// A machine at power-on, with the software CPU.
struct Rig {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(1u << 20);
  machine::Machine machine{ram, {}};
  std::unique_ptr<soft::SoftEngine> engine =
      soft::create(ram, machine, x86::CpuState{}, soft::Options{2, 0});

  Rig() { machine.connect(*engine); }
  std::string refusal(const Input& input) {
    const Result<void> done = apply(input, *engine, machine, nullptr);
    return done ? "" : done.error().text();
  }
};

// A debug server writes no such state, but somebody may have edited a journal.
TEST(Inputs, AStateThatNoProcessorRunsIsRefused) {
  Rig rig;
  constexpr std::uint64_t kPagingWithoutProtection = x86::cr0::PG | x86::cr0::ET;
  EXPECT_NE(rig.refusal(change::RegisterWrite{
                {0}, x86::Register::Cr0, x86::RegisterValue::from_u64(kPagingWithoutProtection)}),
            "");
  x86::CpuState state = rig.engine->vcpu({0}).state().value();
  state.cr0 = kPagingWithoutProtection;
  EXPECT_NE(rig.refusal(change::StateWrite{{0}, state}), "");
  EXPECT_NE(rig.refusal(change::MsrWrite{{0}, 0x12345678, 0}), "");
  EXPECT_NE(rig.refusal(change::MemoryWrite{{0x10000000}, {std::byte{0}}}), "");
  EXPECT_NE(rig.refusal(change::DeviceWrite{{0}, {0x10000000}, 4, 0}), "");
  EXPECT_NE(rig.refusal(change::InsnLength{{0}, 0}), "");
}

// What the engine tells of is what brings another one into the same state.
TEST(Inputs, WhatTheEngineTellsRepeatsItself) {
  Rig first, second;
  std::vector<Input> told;
  first.engine->tell_changes([&](const hypervisor::Change& what) {
    std::visit([&](const auto& written) { told.emplace_back(written); }, what);
  });
  hypervisor::Vcpu& vcpu = first.engine->vcpu({0});
  ASSERT_TRUE(vcpu.write_register(x86::Register::Rbx, x86::RegisterValue::from_u64(5)));
  x86::CpuState state = vcpu.state().value();
  state.fpu.mxcsr = 0x1f00;
  ASSERT_TRUE(vcpu.set_state(state));
  ASSERT_TRUE(vcpu.write_msr(0xc0000082, 0x1234));
  ASSERT_TRUE(vcpu.set_entry_insn_length(2));
  ASSERT_TRUE(vcpu.inject_exception({x86::Vector::Breakpoint, std::nullopt, 0}));
  const std::byte byte{0x5a};
  ASSERT_TRUE(first.engine->memory().write_ram({0x2000}, std::span(&byte, 1)));
  ASSERT_TRUE(first.engine->memory().mmio()->write_mmio({0}, {0xfee00080}, 4, 0x20));
  // What fails has changed nothing.
  EXPECT_FALSE(vcpu.write_msr(0x12345678, 0));
  EXPECT_EQ(told.size(), 7u);
  for (const Input& input : told)
    EXPECT_EQ(second.refusal(input), "") << to_words(input);
  const auto hash = [](Rig& rig) {
    StateHasher hasher;
    rig.engine->visit_state(hasher);
    rig.machine.visit_state(hasher);
    return hasher.value();
  };
  EXPECT_EQ(hash(second), hash(first));
}

}  // namespace
}  // namespace ringside::time
