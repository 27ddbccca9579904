#include "machine/hpet/hpet.h"

#include <gtest/gtest.h>

#include <array>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kEnable = 1, kLegacyToo = 3;
constexpr std::uint64_t kLevel = 1 << 1, kInterrupts = 1 << 2, kPeriodic = 1 << 3,
                        kSetsMatch = 1 << 6, kUse32Bits = 1 << 8;
constexpr std::uint64_t kTo10 = 10 << 9, kTo11 = 11 << 9;

// Counts rising edges.
struct Lines final : InterruptSink {
  std::array<unsigned, 24> rises{};
  std::array<bool, 24> level{};
  void set_line(unsigned line, bool asserted) override {
    rises[line] += asserted && !level[line] ? 1 : 0;
    level[line] = asserted;
  }
};

struct HpetTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  Lines lines;
  EventQueue events{cpus};
  bool legacy = false;
  Hpet hpet{events, cpus, lines, [this](bool on) { legacy = on; }};

  HpetTest() { hpet.reset(); }
  std::uint64_t read(std::uint64_t offset, unsigned width = 8) {
    return hpet.read_mmio({{}, offset, width}) & all_ones(width);
  }
  void write(std::uint64_t offset, std::uint64_t value, unsigned width = 8) {
    hpet.write_mmio({{}, offset, width}, value);
  }
  // Events at their times.
  void pass(std::uint64_t ticks) {
    const std::uint64_t end = cpus.time.ns + ticks * Hpet::kTickNs;
    while (events.next().ns <= end) {
      cpus.time = events.next();
      events.run(cpus.time);
    }
    cpus.time = {end};
  }
};

TEST_F(HpetTest, SaysWhatItIs) {
  EXPECT_EQ(read(0), 0x009896805247a201u);  // 10 ns, 64 bits, legacy replacement, three timers
  EXPECT_EQ(read(4, 4), 10'000'000u);
  for (std::uint64_t timer : {0x100, 0x120, 0x140})
    EXPECT_EQ(read(timer), 0x00000c0000000030u);  // lines 10 and 11, periodic, 64 bits, no FSB
  EXPECT_EQ(read(0x160), 0u);
}

TEST_F(HpetTest, TheCounterRunsWhileItIsEnabled) {
  pass(100);
  EXPECT_EQ(read(0xf0), 0u);
  write(0xf0, 5000);
  write(0x10, kEnable);
  pass(70);
  EXPECT_EQ(read(0xf0), 5070u);
  write(0xf0, 1);  // it runs
  EXPECT_EQ(read(0xf0), 5070u);
  write(0x10, 0);
  pass(70);
  EXPECT_EQ(read(0xf0), 5070u);
  write(0xf4, 1, 4);
  EXPECT_EQ(read(0xf0), 0x1000013ceu);
}

TEST_F(HpetTest, AnEdgeComesOnce) {
  write(0x100, kInterrupts | kTo10);
  write(0x108, 1000);
  write(0x10, kEnable);
  pass(999);
  EXPECT_EQ(lines.rises[10], 0u);
  pass(1);
  EXPECT_EQ(lines.rises[10], 1u);
  EXPECT_FALSE(lines.level[10]);
  EXPECT_EQ(read(0x20), 0u);
  pass(100'000);
  EXPECT_EQ(lines.rises[10], 1u);
  EXPECT_EQ(events.next(), kNever);
}

TEST_F(HpetTest, ALevelStaysUntilItIsCleared) {
  write(0x120, kInterrupts | kLevel | kTo11);
  write(0x128, 10);
  write(0x10, kEnable);
  pass(10);
  EXPECT_TRUE(lines.level[11]);
  EXPECT_EQ(read(0x20), 2u);
  write(0x20, 5);  // others
  EXPECT_TRUE(lines.level[11]);
  write(0x20, 2);
  EXPECT_FALSE(lines.level[11]);
  EXPECT_EQ(read(0x20), 0u);
}

TEST_F(HpetTest, AStatusRisesWithoutAnInterrupt) {
  write(0x140, kLevel | kTo10);
  write(0x148, 10);
  write(0x10, kEnable);
  pass(10);
  EXPECT_EQ(read(0x20), 4u);
  EXPECT_EQ(lines.rises[10], 0u);
  write(0x140, kLevel | kInterrupts | kTo10);
  EXPECT_TRUE(lines.level[10]);
  write(0x140, kInterrupts | kTo10);  // an edge has no status
  EXPECT_FALSE(lines.level[10]);
  EXPECT_EQ(read(0x20), 0u);
}

TEST_F(HpetTest, PeriodsAccumulate) {
  write(0x10, kEnable);
  pass(3);
  write(0x100, kInterrupts | kPeriodic | kSetsMatch | kTo10);
  write(0x108, 100);  // the first
  EXPECT_EQ(read(0x100) & kSetsMatch, 0u);
  write(0x108, 250);  // and from there on
  pass(97);
  EXPECT_EQ(lines.rises[10], 1u);
  EXPECT_EQ(read(0x108), 350u);
  pass(1000);
  EXPECT_EQ(lines.rises[10], 5u);
  EXPECT_EQ(read(0x108), 1350u);
  // What nobody could run in time is one interrupt.
  cpus.time.ns += 2000 * Hpet::kTickNs;
  events.run(cpus.time);
  EXPECT_EQ(lines.rises[10], 6u);
  EXPECT_EQ(read(0x108), 3100u + 250u);
}

TEST_F(HpetTest, ThirtyTwoBitsComeRoundAgain) {
  write(0xf0, 0xfffffff0);
  write(0x100, kInterrupts | kUse32Bits | kTo10);
  write(0x108, 0x10, 4);
  write(0x10, kEnable);
  pass(0x20);
  EXPECT_EQ(lines.rises[10], 1u);
  EXPECT_EQ(read(0xf0), 0x100000010u);
  pass(std::uint64_t{1} << 32);
  EXPECT_EQ(lines.rises[10], 2u);
}

TEST_F(HpetTest, TimersTakeTheLegacyLines) {
  write(0x100, kInterrupts | kLevel | kTo10);
  write(0x120, kInterrupts | kTo11);
  write(0x108, 10);
  write(0x128, 20);
  write(0x10, kLegacyToo);
  EXPECT_TRUE(legacy);
  pass(20);
  EXPECT_TRUE(lines.level[0]);
  EXPECT_EQ(lines.rises[8], 1u);
  EXPECT_EQ(lines.rises[10] + lines.rises[11], 0u);
  write(0x10, kEnable);
  EXPECT_FALSE(legacy);
  EXPECT_FALSE(lines.level[0]);
  EXPECT_TRUE(lines.level[10]);
  hpet.reset();
  EXPECT_FALSE(lines.level[10]);
}

TEST_F(HpetTest, WhatWasOnTheLegacyLinesHidesNoEdge) {
  lines.set_line(0, true);
  lines.set_line(8, true);
  write(0x100, kInterrupts);
  write(0x120, kInterrupts);
  write(0x108, 10);
  write(0x128, 10);
  write(0x10, kLegacyToo);
  pass(10);
  EXPECT_EQ(lines.rises[0], 2u);
  EXPECT_EQ(lines.rises[8], 2u);
}

TEST_F(HpetTest, AnEdgeLeavesALevelOnItsLine) {
  write(0x100, kInterrupts | kLevel | kTo10);
  write(0x120, kInterrupts | kTo10);
  write(0x108, 10);
  write(0x128, 20);
  write(0x10, kEnable);
  pass(20);
  EXPECT_TRUE(lines.level[10]);
}

TEST_F(HpetTest, RoutesThatAreNotOfferedAreNone) {
  write(0x100, kTo11);
  write(0x100, 5 << 9);
  EXPECT_EQ(read(0x100) & 0x3e00, kTo11);
  write(0x100, 1 << 14);  // messages
  EXPECT_EQ(read(0x100) & (1 << 14), 0u);
}

TEST_F(HpetTest, ATimerWithoutARouteInterruptsNobody) {
  for (const std::uint64_t kind : {std::uint64_t{0}, kLevel}) {
    write(0x140, kInterrupts | kind);
    write(0x148, read(0xf0) + 10);
    write(0x10, kLegacyToo);
    pass(20);
    EXPECT_EQ(lines.rises, Lines().rises);
  }
}

TEST_F(HpetTest, LooksChangeNothing) {
  write(0x100, kInterrupts | kPeriodic | kSetsMatch | kTo10);
  write(0x108, 10);
  write(0x120, kLevel | kTo11);
  write(0x128, 10);
  write(0x10, kEnable);
  cpus.time.ns += 35 * Hpet::kTickNs;  // the event is due
  const auto before = testing::save(hpet);
  for (std::uint64_t offset = 0; offset < kHpetSize; offset += 4)
    (void)hpet.peek_mmio({{}, offset, 4});
  EXPECT_EQ(hpet.peek_mmio({{}, 0x20, 8}), 2u);
  EXPECT_EQ(hpet.peek_mmio({{}, 0x108, 8}), 40u);
  EXPECT_EQ(testing::save(hpet), before);
  EXPECT_EQ(lines.rises[10], 0u);
}

TEST_F(HpetTest, NarrowAndCrookedWritesAreIgnored) {
  write(0x10, 1, 1);
  write(0x11, 1, 4);
  EXPECT_EQ(read(0x10), 0u);
}

TEST_F(HpetTest, StateMoves) {
  write(0x100, kInterrupts | kTo10);
  write(0x108, 500);
  write(0x10, kLegacyToo);
  pass(100);
  EventQueue other_events(cpus);
  bool other_legacy = false;
  Hpet other{other_events, cpus, lines, [&](bool on) { other_legacy = on; }};
  EXPECT_TRUE(testing::load(other, testing::save(hpet)));
  EXPECT_TRUE(other_legacy);
  EXPECT_EQ(other.read_mmio({{}, 0xf0, 8}), 100u);
  EXPECT_EQ(other.read_mmio({{}, 0x108, 8}), 500u);
}

}  // namespace
}  // namespace ringside::machine
