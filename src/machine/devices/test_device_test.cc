#include "machine/devices/test_device.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/state_bytes.h"

namespace ringside::machine {
namespace {

class Lines final : public InterruptSink {
 public:
  void set_line(unsigned line, bool asserted) override { changes.emplace_back(line, asserted); }
  std::vector<std::pair<unsigned, bool>> changes;
};

class TestDeviceTest : public ::testing::Test {
 protected:
  TestDeviceTest() {
    bus.claim(TestDevice::kPort, TestDevice::kPorts, device);
    bus.claim(TestDevice::kLinePort, TestDevice::kLines, device);
  }
  std::uint32_t in(std::uint16_t port, unsigned width) const {
    std::uint32_t value = 0;
    bus.read({{0}, port, width}, value);
    return value;
  }
  void out(std::uint16_t port, unsigned width, std::uint32_t value) {
    bus.write({{0}, port, width}, value);
  }

  Lines lines;
  TestDevice device{lines};
  PortBus bus;
};

TEST_F(TestDeviceTest, TheRegisterIsAtTwoPlacesInAnyWidth) {
  out(0xe0, 4, 0x12345678);
  EXPECT_EQ(in(0xe0, 1), 0x78u);
  EXPECT_EQ(in(0xe2, 2), 0x1234u);
  EXPECT_EQ(in(0xe8, 4), 0x12345678u);
  out(0xe9, 1, 0xff);
  EXPECT_EQ(in(0xe0, 4), 0x1234ff78u);
  out(0xe4, 4, 0x100000);  // a page: nothing is seen of it
  EXPECT_EQ(in(0xe0, 4), 0x1234ff78u);
}

TEST_F(TestDeviceTest, PortsAreInterruptLines) {
  using Change = std::pair<unsigned, bool>;
  out(0x2000 + 23, 1, 1);
  out(0x2000 + 23, 1, 7);
  out(0x2000 + 23, 1, 0);
  out(0x2000, 1, 1);
  EXPECT_EQ(lines.changes, (std::vector<Change>{{23, true}, {23, false}, {0, true}}));
  device.reset();
  EXPECT_EQ(lines.changes.back(), Change(0, false));
}

TEST_F(TestDeviceTest, TheWindowKeepsWhatIsWritten) {
  device.write_mmio({{0}, 0xfff8, 8}, 0x1122334455667788);
  EXPECT_EQ(device.read_mmio({{0}, 0xfffc, 4}), 0x11223344u);
  device.write_mmio({{0}, 0xfff8, 1}, 0);
  EXPECT_EQ(device.peek_mmio({{0}, 0xfff8, 2}), 0x7700u);
}

TEST_F(TestDeviceTest, ItsStateIsSaved) {
  out(0xe0, 4, 0xabcd);
  out(0x2005, 1, 1);
  device.write_mmio({{0}, 0, 4}, 5);
  StateSaver saver;
  device.visit_state(saver);
  Lines other_lines;
  TestDevice other(other_lines);
  StateLoader loader(saver.saved);
  other.visit_state(loader);
  EXPECT_EQ(other.peek_port(0xe0), 0xcd);
  EXPECT_EQ(other.peek_mmio({{0}, 0, 4}), 5u);
  other.reset();
  EXPECT_EQ(other_lines.changes.size(), 1u);
}

}  // namespace
}  // namespace ringside::machine
