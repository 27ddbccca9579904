// What virtual time an instruction takes, and that events of the machine come at the same
// instruction whether a debugger steps or not.
#include <gtest/gtest.h>

#include "engine/soft/soft_vm.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

constexpr std::uint64_t kCode = 0x7000;

struct Machine {
  explicit Machine(std::string_view hex) {
    for (std::size_t at = 0; at < hex.size(); at += 2) {
      *ram.host({kCode + at / 2}, 1) =
          static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(at, 2)), nullptr, 16));
    }
    x86::CpuState entry = x86::reset_state();
    entry.seg(x86::SegmentName::Cs) = {0, x86::kAttributesCode16, 0xffff, 0};
    entry.rip = kCode;
    engine = create(ram, platform, entry, {});
    engine->resume({0});
  }
  void run_to(std::uint64_t total) {
    engine->stop_at(InsnCount{total});
    while (engine->total_instructions().value < total && engine->run_slice()) {
    }
  }
  void step() {
    engine->suspend({0});
    while (engine->take_event()) {
    }
    EXPECT_TRUE(engine->vcpu({0}).set_capability(hypervisor::Capability::MonitorTrap, true));
    engine->resume({0});
    while (!engine->take_event() && engine->run_slice()) {
    }
    EXPECT_TRUE(engine->vcpu({0}).set_capability(hypervisor::Capability::MonitorTrap, false));
    engine->resume({0});
  }

  hypervisor::GuestRam ram = hypervisor::GuestRam::create(2u << 20).value();
  testing::TestPlatform platform;
  std::unique_ptr<SoftEngine> engine;
};

constexpr std::string_view kLoop = "40ebfd";  // inc ax; jmp
// Again and again: mov di, 0x1234; mov cx, 0x1800; rep stosb; and the jump.
constexpr std::string_view kCopies = "bf3412b90018f3aaebf6";

TEST(Time, PassesWithInstructions) {
  Machine machine(kLoop);
  machine.run_to(1000);
  EXPECT_EQ(machine.engine->now().ns, 1000u);
  machine.run_to(100'000);
  EXPECT_EQ(machine.engine->now().ns, 100'000u);
}

TEST(Time, PassesWithBytes) {
  Machine machine(kCopies);
  machine.run_to(5);  // two moves, 0x1234 to 0x1fff, a page, and what is left
  const std::uint64_t lines = (0x2a34 >> 6) - (0x1234 >> 6);
  EXPECT_EQ(machine.engine->now().ns, 5 + lines);
}

TEST(Time, AnEventComesWhenItIsDue) {
  for (const std::uint64_t due : {1u, 3999u, 4000u}) {
    Machine machine(kLoop);
    machine.platform.due = {due};
    machine.run_to(5000);
    ASSERT_TRUE(machine.platform.fired);
    EXPECT_EQ(machine.platform.fired->ns, due);
  }
}

TEST(Time, StepsDoNotMoveAnEvent) {
  for (std::uint64_t due = 0; due < 4000; due += 37) {
    Machine alone(kCopies), stepped(kCopies);
    alone.platform.due = stepped.platform.due = {due};
    while (!alone.platform.fired)
      alone.engine->run_slice();
    const std::uint64_t count = alone.engine->total_instructions().value;
    while (!stepped.platform.fired)
      stepped.step();
    EXPECT_EQ(stepped.platform.fired->ns, alone.platform.fired->ns) << due;
    stepped.run_to(count);
    EXPECT_EQ(stepped.engine->now().ns, alone.engine->now().ns) << due;
  }
}

}  // namespace
}  // namespace ringside::soft
