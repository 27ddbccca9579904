#include "machine/clocks/pit.h"

#include <gtest/gtest.h>

#include "machine/clocks/clock_math.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct PitTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  EventQueue events{cpus};
  Pit pit{events, cpus, {lines, 0}};

  PitTest() { pit.reset(); }
  void out(std::uint16_t port, unsigned value) {
    pit.write_port(port, static_cast<std::uint8_t>(value));
  }
  unsigned in(std::uint16_t port) { return pit.read_port(port); }
  void program(unsigned channel, unsigned mode, unsigned count) {
    out(0x43, channel << 6 | 0x30 | mode << 1);
    out(static_cast<std::uint16_t>(0x40 + channel), count & 0xff);
    out(static_cast<std::uint16_t>(0x40 + channel), count >> 8);
  }
  unsigned count(unsigned channel) {
    const auto port = static_cast<std::uint16_t>(0x40 + channel);
    out(0x43, channel << 6);
    const unsigned low = in(port);
    return low | in(port) << 8;
  }
  void go_to_tick(std::uint64_t tick) { go_to({ticks_to_ns(tick, kPitHz)}); }
  void go_to(VirtualTime time) {
    while (events.next() <= time) {
      cpus.time = events.next();
      events.run(cpus.time);
    }
    cpus.time = time;
  }
  bool out2() { return (in(0x61) & 0x20) != 0; }
};

TEST(ClockMath, RoundsSoThatTheTickIsReached) {
  for (std::uint64_t tick : {1ull, 2ull, 1193181ull, 1193182ull, 1193183ull, 987654321987ull}) {
    const std::uint64_t ns = ticks_to_ns(tick, kPitHz);
    EXPECT_EQ(ns_to_ticks(ns, kPitHz), tick);
    EXPECT_EQ(ns_to_ticks(ns - 1, kPitHz), tick - 1);
  }
}

TEST_F(PitTest, RateGeneratorInterruptsOncePerPeriodForEver) {
  program(0, 2, 1193);
  go_to({1'000'000'000});
  EXPECT_EQ(lines.rises[0], (1193182u - 1) / 1193u);
}

TEST_F(PitTest, SquareWaveInterruptsOncePerPeriod) {
  program(0, 3, 0);  // 65536
  go_to({1'000'000'000});
  EXPECT_EQ(lines.rises[0], 18u);
}

TEST_F(PitTest, OneShotInterruptsOnce) {
  program(0, 0, 100);
  go_to_tick(100);
  EXPECT_EQ(lines.rises[0], 0u);
  go_to_tick(101);
  EXPECT_EQ(lines.rises[0], 1u);
  EXPECT_EQ(count(0), 0u);
  go_to_tick(111);
  EXPECT_EQ(count(0), 65526u);
  EXPECT_EQ(events.next(), kNever);
  program(0, 0, 100);
  EXPECT_FALSE(lines.level[0]);
  go_to_tick(300);
  EXPECT_EQ(lines.rises[0], 2u);
}

TEST_F(PitTest, SoftwareStrobeInterruptsAfterTheStrobe) {
  program(0, 4, 100);
  go_to_tick(101);
  EXPECT_EQ(lines.rises[0], 0u);
  go_to_tick(102);
  EXPECT_EQ(lines.rises[0], 1u);
  EXPECT_EQ(events.next(), kNever);
}

TEST_F(PitTest, CountsDown) {
  program(0, 2, 1000);
  EXPECT_EQ(count(0), 1000u);
  go_to_tick(1 + 250);
  EXPECT_EQ(count(0), 750u);
  go_to_tick(1 + 1000);
  EXPECT_EQ(count(0), 1000u);
  program(0, 3, 1000);
  go_to_tick(1002 + 250);
  EXPECT_EQ(count(0), 500u);
}

TEST_F(PitTest, LatchHoldsUntilItIsRead) {
  program(0, 2, 0x1234);
  out(0x43, 0);
  go_to_tick(100);
  out(0x43, 0);
  EXPECT_EQ(in(0x40), 0x34u);
  EXPECT_EQ(in(0x40), 0x12u);
  EXPECT_LT(count(0), 0x1234u);
}

// How Linux calibrates the TSC: channel 2, mode 0, gated by port 0x61.
TEST_F(PitTest, Channel2RunsOnlyWithItsGate) {
  out(0x61, 0);
  program(2, 0, 100);
  go_to_tick(500);
  EXPECT_FALSE(out2());
  EXPECT_EQ(count(2), 100u);
  out(0x61, 1);
  go_to_tick(600);
  EXPECT_FALSE(out2());
  go_to_tick(601);
  EXPECT_TRUE(out2());
  EXPECT_EQ(in(0x61) & 0xf, 1u);
  EXPECT_EQ(lines.rises[0], 0u);
}

TEST_F(PitTest, GatePausesModeZero) {
  out(0x61, 1);
  program(2, 0, 100);
  go_to_tick(41);
  out(0x61, 0);
  go_to_tick(1000);
  EXPECT_EQ(count(2), 60u);
  out(0x61, 1);
  go_to_tick(1060);
  EXPECT_FALSE(out2());
  go_to_tick(1061);
  EXPECT_TRUE(out2());
}

TEST_F(PitTest, GateTriggersModesOneAndFive) {
  program(2, 1, 50);
  EXPECT_TRUE(out2());
  out(0x61, 1);
  go_to_tick(10);
  EXPECT_FALSE(out2());
  go_to_tick(51);
  EXPECT_TRUE(out2());
  out(0x61, 0);
  program(2, 5, 50);
  out(0x61, 1);  // at tick 51
  go_to_tick(101);
  EXPECT_TRUE(out2());
  go_to_tick(102);
  EXPECT_FALSE(out2());
  go_to_tick(103);
  EXPECT_TRUE(out2());
}

TEST_F(PitTest, ReadBackGivesStatus) {
  program(0, 3, 10);
  out(0x43, 0xe2);  // status of channel 0
  EXPECT_EQ(in(0x40), 0xb6u);
  out(0x43, 0x34);
  out(0x43, 0xe2);
  EXPECT_EQ(in(0x40) & 0x40, 0x40u);  // no count yet
}

TEST_F(PitTest, CountsInBcd) {
  out(0x43, 0x35);
  out(0x40, 0x00);
  out(0x40, 0x10);  // 1000
  go_to_tick(1 + 1);
  EXPECT_EQ(count(0), 0x0999u);
}

TEST_F(PitTest, RefreshToggles) {
  const unsigned before = in(0x61) & 0x10;
  go_to({15'085});
  EXPECT_NE(in(0x61) & 0x10, before);
}

TEST_F(PitTest, StateMoves) {
  program(0, 2, 1000);
  out(0x61, 1);
  program(2, 0, 100);
  go_to_tick(50);
  EventQueue other_events(cpus);
  Pit other(other_events, cpus, {lines, 1});
  EXPECT_TRUE(testing::load(other, testing::save(pit)));
  EXPECT_TRUE(testing::load(other_events, testing::save(events)));
  EXPECT_EQ(other_events.next(), events.next());
  EXPECT_EQ(other.read_port(0x42), pit.read_port(0x42));
}

}  // namespace
}  // namespace ringside::machine
