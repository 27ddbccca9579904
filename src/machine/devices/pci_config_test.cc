#include "machine/devices/pci_config.h"

#include <gtest/gtest.h>

#include "machine/bus/bus.h"
#include "machine/devices/system_control.h"
#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct PciConfigTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  PciConfig pci;
  SystemControl system{cpus};
  PortBus bus;

  PciConfigTest() {
    bus.claim(PciConfig::kAddress, 1, pci);
    bus.claim(PciConfig::kData, 4, pci);
    bus.claim(SystemControl::kResetControl, 1, system);
  }
  std::uint32_t in(std::uint16_t port, unsigned width) {
    std::uint32_t value = 0;
    bus.read({{}, port, width}, value);
    return value;
  }
};

TEST_F(PciConfigTest, ShowsOneHostBridge) {
  bus.write({{}, 0xcf8, 4}, 0x80000000);
  EXPECT_EQ(in(0xcf8, 4), 0x80000000u);
  EXPECT_EQ(in(0xcfc, 4), 0x00081b36u);
  EXPECT_EQ(in(0xcfe, 2), 0x0008u);
  bus.write({{}, 0xcf8, 4}, 0x80000008);
  EXPECT_EQ(in(0xcfe, 2), 0x0600u);
  EXPECT_EQ(in(0xcff, 1), 0x06u);
  bus.write({{}, 0xcf8, 4}, 0x80000800);  // device 1
  EXPECT_EQ(in(0xcfc, 4), 0xffffffffu);
  bus.write({{}, 0xcf8, 4}, 0);
  EXPECT_EQ(in(0xcfc, 2), 0xffffu);
}

TEST_F(PciConfigTest, LeavesTheResetRegisterAlone) {
  bus.write({{}, 0xcf8, 4}, 0x80000600);
  EXPECT_FALSE(cpus.ended);
  bus.write({{}, 0xcf9, 1}, 6);
  EXPECT_TRUE(cpus.ended);
  EXPECT_EQ(in(0xcf8, 4), 0x80000600u);
}

TEST_F(PciConfigTest, StateMoves) {
  bus.write({{}, 0xcf8, 4}, 0x80000008);
  PciConfig other;
  EXPECT_TRUE(testing::load(other, testing::save(pci)));
  EXPECT_EQ(testing::save(other), testing::save(pci));
}

}  // namespace
}  // namespace ringside::machine
