// Whose turn it is: two vCPUs that run share the instructions; one that says PAUSE leaves the rest
// of its turn to the others, if there are any.
#include <gtest/gtest.h>

#include <memory>

#include "base/state_hash.h"
#include "engine/soft/soft_vm.h"
#include "engine/soft/testing/test_cpu.h"

namespace ringside::soft {
namespace {

constexpr std::uint64_t kFirst = 0x7000, kSecond = 0x8000, kTotal = 100'000;
constexpr const char *kCounts = "6641ebfc",  // inc ecx; jmp
    *kPausesAndCounts = "f3906641ebfa",      // pause; inc ecx; jmp
        *kNopsAndCounts = "90906641ebfa";    // the same without PAUSE: nop; nop; inc ecx; jmp

// A machine of one or two vCPUs that are about to run.
struct Two {
  explicit Two(const std::vector<const char*>& codes) : vcpus(codes.size()) {
    x86::CpuState entry = x86::reset_state();
    entry.seg(x86::SegmentName::Cs) = {0, x86::kAttributesCode16, 0xffff, 0};
    entry.rip = kFirst;
    engine = create(ram, platform, entry, Options{static_cast<unsigned>(codes.size())});
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const std::string_view hex = codes[i];
      for (std::size_t at = 0; at < hex.size(); at += 2) {
        *ram.host({(i == 0 ? kFirst : kSecond) + at / 2}, 1) =
            static_cast<std::uint8_t>(std::stoul(std::string(hex.substr(at, 2)), nullptr, 16));
      }
    }
    if (vcpus > 1) {
      engine->start_up({1}, kSecond >> 12);
      EXPECT_TRUE(engine->take_event());
      engine->resume({1});
    }
    engine->resume({0});
  }
  void run_to(std::uint64_t total) {
    engine->stop_at(InsnCount{total});
    while (engine->total_instructions().value < total && engine->run_slice()) {
    }
  }
  // As a debugger does it: all stop, and one steps, while the other runs or stands still.
  void step_first(bool other_runs) {
    for (const std::uint32_t id : {0u, 1u})
      engine->suspend({id});
    while (engine->take_event()) {
    }
    EXPECT_TRUE(engine->vcpu({0}).set_capability(hypervisor::Capability::MonitorTrap, true));
    engine->resume({0});
    if (other_runs) engine->resume({1});
    engine->stop_at(std::nullopt);
    std::optional<hypervisor::VcpuEvent> event;
    while (!(event = engine->take_event()) && engine->run_slice()) {
    }
    EXPECT_TRUE(event && std::holds_alternative<hypervisor::exit::MonitorTrap>(event->exit));
    EXPECT_TRUE(engine->vcpu({0}).set_capability(hypervisor::Capability::MonitorTrap, false));
    engine->resume({0});
    engine->resume({1});
  }
  std::uint64_t hash() {
    StateHasher hasher;
    engine->visit_state(hasher);
    return hasher.value();
  }

  std::size_t vcpus;
  hypervisor::GuestRam ram = hypervisor::GuestRam::create(2u << 20).value();
  testing::TestPlatform platform;
  std::unique_ptr<SoftEngine> engine;
};

// The counts after kTotal instructions of all together.
std::vector<std::uint64_t> counts(const std::vector<const char*>& codes) {
  Two machine(codes);
  machine.run_to(kTotal);
  std::vector<std::uint64_t> result;
  for (std::uint32_t i = 0; i < codes.size(); ++i)
    result.push_back(machine.engine->vcpu({i}).state()->reg(x86::Gpr::Rcx));
  return result;
}

TEST(Turns, AreShared) {
  const auto both = counts({kCounts, kCounts});
  EXPECT_NEAR(static_cast<double>(both[0]), kTotal / 4.0, kTotal / 20.0);
  EXPECT_NEAR(static_cast<double>(both[1]), kTotal / 4.0, kTotal / 20.0);
}

TEST(Turns, EndWithPause) {
  const auto spins = counts({kPausesAndCounts, kCounts});
  // Once in each turn of the other, which has more than 4,000 and less than 6,000 instructions.
  EXPECT_GT(spins[0], kTotal / 6000);
  EXPECT_LT(spins[0], kTotal / 4000 + 2);
  EXPECT_GT(spins[1], kTotal / 2 - kTotal / 100);
  const auto works = counts({kNopsAndCounts, kCounts});
  EXPECT_GT(works[0], kTotal / 4 / 3);  // without PAUSE about half of the instructions
}

TEST(Turns, AlternateWhereBothPause) {
  const auto both = counts({kPausesAndCounts, kPausesAndCounts});
  EXPECT_EQ(both[0] + both[1], kTotal / 3);
  EXPECT_LE(both[0] - both[1], 1u);
}

TEST(Turns, OfTheOnlyVcpuDoNotEnd) { EXPECT_EQ(counts({kPausesAndCounts})[0], kTotal / 3); }

// A debugger's steps of one vCPU change nothing if the others may run meanwhile.
TEST(Turns, OutliveStepsWhileTheOthersRun) {
  const auto hash = [](int steps, bool other_runs) {
    Two machine({kCounts, kCounts});
    for (std::uint64_t at = 1000; at < kTotal / 2; at += 7001) {
      machine.run_to(at);
      for (int i = 0; i < steps; ++i)
        machine.step_first(other_runs);
    }
    machine.run_to(kTotal);
    return machine.hash();
  };
  const std::uint64_t alone = hash(0, true);
  EXPECT_EQ(hash(1, true), alone);
  EXPECT_EQ(hash(5, true), alone);
  EXPECT_NE(hash(5, false), alone);  // an order that no run alone has
}

}  // namespace
}  // namespace ringside::soft
