#include "machine/machine.h"

#include <gtest/gtest.h>

#include "machine/testing/fake_cpu_port.h"

namespace ringside::machine {
namespace {

constexpr VcpuId kBoot{0};

struct MachineTest : ::testing::Test {
  hypervisor::GuestRam ram = *hypervisor::GuestRam::create(16 << 20);
  testing::FakeCpuPort cpus;
};

TEST_F(MachineTest, SerialOutputReachesItsSink) {
  std::string sent;
  MachineOptions options;
  options.serial[0] = [&](std::span<const std::byte> bytes) {
    sent += static_cast<char>(bytes[0]);
  };
  Machine machine(ram, options);
  machine.connect(cpus);
  machine.port_write(kBoot, 0x3f8, 1, 'A');
  EXPECT_EQ(sent, "A");
  EXPECT_EQ(machine.serial_room(0), 1u);
}

TEST_F(MachineTest, AnOutputThatIsFullHoldsItsWritersOnly) {
  bool full = true;
  MachineOptions options;
  options.vcpus = 3;
  options.serial[0] = {[](std::span<const std::byte>) {}, [&] { return full; }};
  Machine machine(ram, options);
  machine.connect(cpus);
  EXPECT_TRUE(machine.takes_write(kBoot, 0x2f8, 1));
  EXPECT_TRUE(machine.takes_write(kBoot, 0x3f9, 1));
  EXPECT_FALSE(machine.takes_write({2}, 0x3f8, 1));
  EXPECT_FALSE(machine.takes_write({1}, 0x3f8, 2));
  full = false;
  EXPECT_TRUE(cpus.happened.empty());
  machine.output_has_room();
  const std::vector<std::string> expected{"retry 1", "retry 2"};
  EXPECT_EQ(cpus.happened, expected);
  machine.output_has_room();
  EXPECT_EQ(cpus.happened, expected);
}

TEST_F(MachineTest, DebugExitEndsOnlyWhereAskedFor) {
  Machine plain(ram, {});
  plain.connect(cpus);
  plain.port_write(kBoot, 0xf4, 1, 3);
  EXPECT_FALSE(cpus.ended);
  MachineOptions options;
  options.debug_exit = true;
  Machine machine(ram, options);
  machine.connect(cpus);
  machine.port_write(kBoot, 0xf4, 1, 3);
  ASSERT_TRUE(cpus.ended);
  EXPECT_EQ(cpus.ended->exit_status(), 7);
}

TEST_F(MachineTest, DebugConsoleAnswersOnBothPorts) {
  std::string sent;
  MachineOptions options;
  options.debugcon = [&](std::span<const std::byte> bytes) { sent += static_cast<char>(bytes[0]); };
  Machine machine(ram, options);
  std::uint32_t value = 0;
  machine.port_read(kBoot, 0x402, 1, value);
  EXPECT_EQ(value, 0xe9u);
  machine.port_write(kBoot, 0x402, 1, 'x');
  machine.port_write(kBoot, 0xe9, 1, 'y');
  EXPECT_EQ(sent, "xy");
}

// What a small guest does: 8259 remapped to 0x20, PIT at 100 Hz, nothing said to the APICs.
TEST_F(MachineTest, TimerReachesTheBootProcessorThroughThe8259) {
  Machine machine(ram, {});
  machine.connect(cpus);
  const std::pair<std::uint16_t, unsigned> writes[] = {
      {0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 4},    {0xa1, 2},   {0x21, 1},
      {0xa1, 1},    {0x21, 0xfe}, {0xa1, 0xff}, {0x43, 0x34}, {0x40, 0x9c}, {0x40, 0x2e}};
  for (const auto& [port, value] : writes)
    machine.port_write(kBoot, port, 1, value);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(cpus.pins[0]);
    cpus.time = machine.next_event();
    machine.run_events(cpus.time);
    ASSERT_TRUE(cpus.pins[0]);
    EXPECT_EQ(machine.acknowledge_interrupt(kBoot), 0x20);
    machine.port_write(kBoot, 0x20, 1, 0x20);
  }
  EXPECT_NEAR(static_cast<double>(cpus.time.ns), 3e7, 1e5);
}

TEST_F(MachineTest, TimerReachesTheIoApicOnPin2) {
  Machine machine(ram, {});
  machine.connect(cpus);
  machine.mmio_write(kBoot, {0xfee000f0}, 4, 0x1ff);
  machine.mmio_write(kBoot, {0xfec00000}, 4, 0x14);
  machine.mmio_write(kBoot, {0xfec00010}, 4, 0x30);
  machine.port_write(kBoot, 0x43, 1, 0x34);
  machine.port_write(kBoot, 0x40, 2, 0);
  machine.port_write(kBoot, 0x40, 1, 0x10);
  cpus.time = machine.next_event();
  machine.run_events(cpus.time);
  EXPECT_EQ(machine.acknowledge_interrupt(kBoot), 0x30);
}

TEST_F(MachineTest, ApicIsReachedByMmioMsrAndCr8) {
  MachineOptions options;
  options.vcpus = 2;
  Machine machine(ram, options);
  machine.connect(cpus);
  const VcpuId other{1};
  std::uint64_t value = 0;
  EXPECT_TRUE(machine.is_mmio({0xfee00020}));
  EXPECT_FALSE(machine.is_mmio({0xfed00000}));
  EXPECT_FALSE(machine.mmio_read(other, {0xfed00000}, 4, value));
  ASSERT_TRUE(machine.mmio_read(other, {0xfee00020}, 4, value));
  EXPECT_EQ(value, 0x01000000u);
  machine.mmio_read(other, {0xfee00023}, 1, value);
  EXPECT_EQ(value, 1u);
  machine.set_task_priority(other, 5);
  EXPECT_EQ(machine.task_priority(other), 5);
  machine.mmio_read(other, {0xfee00080}, 4, value);
  EXPECT_EQ(value, 0x50u);
  EXPECT_FALSE(machine.apic_msr_read(other, 0x802, value));
  ASSERT_TRUE(machine.apic_msr_read(other, 0x1b, value));
  EXPECT_EQ(value, 0xfee00800u);
  EXPECT_TRUE(machine.apic_msr_write(other, 0x1b, 0xfee00c00));
  ASSERT_TRUE(machine.apic_msr_read(other, 0x802, value));
  EXPECT_EQ(value, 1u);
  EXPECT_FALSE(machine.apic_msr_read(other, 0x900, value));
  EXPECT_FALSE(machine.mmio_read(other, {0xfee00020}, 4, value));  // gone in x2APIC mode
  EXPECT_TRUE(machine.mmio_read(kBoot, {0xfee00020}, 4, value));
}

}  // namespace
}  // namespace ringside::machine
