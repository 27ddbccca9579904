#include "machine/devices/acpi_power.h"

#include <gtest/gtest.h>

#include "machine/bus/bus.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct AcpiPowerTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  EventQueue events{cpus};
  unsigned slept = 0, woken = 0;
  AcpiPower power{events, cpus, {lines, 9}, {[this] { ++slept; }, [this] { ++woken; }}};
  PortBus bus;

  AcpiPowerTest() {
    power.reset();
    bus.claim(0x600, AcpiPower::kPorts, power);
  }
  std::uint32_t read(std::uint16_t port, unsigned width) {
    std::uint32_t value = 0;
    bus.read({{}, port, width}, value);
    return value;
  }
  // As a guest does: SLP_TYP first, SLP_EN with it then (ACPI 5.0, 16.1.3).
  void sleep() {
    bus.write({{}, 0x604, 2}, 1 << 10);
    bus.write({{}, 0x604, 2}, 1 << 13 | 1 << 10);
  }
  void run_next_event() {
    cpus.time = events.next();
    events.run(cpus.time);
  }
};

TEST_F(AcpiPowerTest, TimerRunsAtItsRate) {
  EXPECT_EQ(read(0x608, 4), 0u);
  cpus.time = {1'000'000'000};
  EXPECT_EQ(read(0x608, 4), 3579545u);
}

TEST_F(AcpiPowerTest, IsInAcpiMode) { EXPECT_EQ(read(0x604, 2), 1u); }

TEST_F(AcpiPowerTest, SleepTypeFiveTurnsOff) {
  bus.write({{}, 0x604, 2}, 5 << 10);  // the type alone does nothing
  EXPECT_FALSE(cpus.ended);
  EXPECT_EQ(read(0x604, 2), 0x1401u);
  bus.write({{}, 0x604, 2}, 1 << 13 | 3 << 10);  // another state does nothing
  EXPECT_FALSE(cpus.ended);
  bus.write({{}, 0x604, 2}, 1 << 13 | 5 << 10);
  ASSERT_TRUE(cpus.ended);
  EXPECT_EQ(cpus.ended->kind, hypervisor::VmEnd::Kind::PowerOff);
  EXPECT_EQ(cpus.ended->exit_status(), 1);
}

TEST_F(AcpiPowerTest, FirmwareTurnsOffByAnotherType) {
  bus.write({{}, 0x604, 2}, 1 << 13);
  ASSERT_TRUE(cpus.ended);
  EXPECT_EQ(cpus.ended->kind, hypervisor::VmEnd::Kind::PowerOff);
}

TEST_F(AcpiPowerTest, TimerOverflowIsStatusAndInterrupt) {
  const std::uint64_t half = ((std::uint64_t{1} << 31) * 1'000'000'000) / AcpiPower::kTimerHz + 1;
  cpus.time = {half};
  EXPECT_EQ(read(0x600, 2), 1u);
  bus.write({{}, 0x600, 2}, 1);
  EXPECT_EQ(read(0x600, 2), 0u);
  EXPECT_EQ(events.next(), kNever);
  bus.write({{}, 0x602, 2}, 0xffff);
  EXPECT_EQ(read(0x602, 2), 0x521u);
  cpus.time = events.next();
  EXPECT_NEAR(static_cast<double>(cpus.time.ns), 2.0 * static_cast<double>(half), 10);
  events.run(cpus.time);
  EXPECT_TRUE(lines.level[9]);
  bus.write({{}, 0x600, 2}, 1);
  EXPECT_FALSE(lines.level[9]);
}

TEST_F(AcpiPowerTest, ThePowerButtonInterruptsWhereItIsEnabled) {
  EXPECT_FALSE(power.press_button());
  EXPECT_EQ(read(0x600, 2), 0x100u);
  EXPECT_FALSE(lines.level[9]);
  bus.write({{}, 0x602, 2}, 0x100);  // it was pressed already
  EXPECT_TRUE(lines.level[9]);
  bus.write({{}, 0x600, 2}, 0x100);
  EXPECT_FALSE(lines.level[9]);
  EXPECT_TRUE(power.press_button());
  EXPECT_TRUE(lines.level[9]);
  EXPECT_EQ(read(0x600, 2), 0x100u);
}

TEST_F(AcpiPowerTest, ItSleepsUntilTheButtonIsPressed) {
  sleep();
  EXPECT_TRUE(power.asleep());
  EXPECT_EQ(slept, 1u);
  EXPECT_FALSE(cpus.ended);
  EXPECT_EQ(events.next(), kNever);
  sleep();  // of another processor, that was not fast enough
  EXPECT_EQ(slept, 1u);
  EXPECT_TRUE(power.press_button()) << "without being enabled";
  EXPECT_EQ(woken, 0u) << "not before the CPUs are between two instructions";
  EXPECT_FALSE(lines.level[9]);
  run_next_event();
  EXPECT_EQ(woken, 1u);
  EXPECT_FALSE(power.asleep());
  EXPECT_EQ(read(0x600, 2), 0x8100u);  // woken, by the button
  EXPECT_EQ(read(0x604, 2), 1u);
  bus.write({{}, 0x600, 2}, 0x8000);
  EXPECT_EQ(read(0x600, 2), 0x100u);
}

TEST_F(AcpiPowerTest, TheAlarmWakesWhereItIsEnabled) {
  sleep();
  power.ring_alarm();
  EXPECT_EQ(events.next(), kNever);
  bus.write({{}, 0x602, 2}, 0x400);
  run_next_event();
  EXPECT_EQ(woken, 1u);
  EXPECT_EQ(read(0x600, 2), 0x8400u);
  EXPECT_TRUE(lines.level[9]) << "it is an event to one that is awake, too";
}

TEST_F(AcpiPowerTest, WhatHasHappenedBeforeWakesAtOnce) {
  bus.write({{}, 0x602, 2}, 0x400);
  power.ring_alarm();
  sleep();
  EXPECT_EQ(slept, 1u);
  run_next_event();
  EXPECT_EQ(woken, 1u);
}

TEST_F(AcpiPowerTest, AResetEndsSleepWithoutWaking) {
  sleep();
  power.press_button();
  power.reset();
  EXPECT_FALSE(power.asleep());
  EXPECT_EQ(events.next(), kNever);
  EXPECT_EQ(woken, 0u);
}

TEST_F(AcpiPowerTest, StateMoves) {
  bus.write({{}, 0x602, 2}, 1);
  sleep();
  EventQueue other_events(cpus);
  AcpiPower other{other_events, cpus, {lines, 10}, {}};
  EXPECT_TRUE(testing::load(other, testing::save(power)));
  EXPECT_EQ(other.read_port(0x602), 1);
  EXPECT_TRUE(other.asleep());
}

}  // namespace
}  // namespace ringside::machine
