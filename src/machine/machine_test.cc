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

}  // namespace
}  // namespace ringside::machine
