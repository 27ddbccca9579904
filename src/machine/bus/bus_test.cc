#include "machine/bus/bus.h"

#include <gtest/gtest.h>

#include <map>

namespace ringside::machine {
namespace {

struct Registers final : BytePorts {
  std::map<std::uint16_t, std::uint8_t> value;
  std::uint8_t read_port(std::uint16_t port) override { return value[port]; }
  std::uint8_t peek_port(std::uint16_t port) const override { return value.at(port); }
  void write_port(std::uint16_t port, std::uint8_t v) override { value[port] = v; }
};

struct Wide final : WidePorts {
  std::uint32_t last = 0;
  unsigned width = 0;
  Access read_port(const PortAccess& access, std::uint32_t& value) override {
    value = access.width;
    return Access::Wait;
  }
  std::uint32_t peek_port(const PortAccess& access) const override { return access.width; }
  Access write_port(const PortAccess& access, std::uint32_t value) override {
    last = value;
    width = access.width;
    return Access::Done;
  }
};

TEST(PortBus, SplitsWideAccessesIntoBytesLowFirst) {
  PortBus bus;
  Registers a, b;
  bus.claim(0x10, 2, a);
  bus.claim(0x12, 1, b);
  bus.write({{}, 0x10, 4}, 0x44332211);
  EXPECT_EQ(a.value[0x10], 0x11);
  EXPECT_EQ(a.value[0x11], 0x22);
  EXPECT_EQ(b.value[0x12], 0x33);
  std::uint32_t value = 0;
  EXPECT_EQ(bus.read({{}, 0x10, 4}, value), Access::Done);
  EXPECT_EQ(value, 0xff332211);
}

TEST(PortBus, AsksEveryDeviceOfAWideWrite) {
  struct Full final : BytePorts {
    std::uint8_t read_port(std::uint16_t) override { return 0; }
    std::uint8_t peek_port(std::uint16_t) const override { return 0; }
    void write_port(std::uint16_t, std::uint8_t) override {}
    bool takes_write(std::uint16_t port) const override { return port != 0x12; }
  };
  PortBus bus;
  Registers free;
  Full full;
  bus.claim(0x10, 2, free);
  bus.claim(0x12, 2, full);
  EXPECT_TRUE(bus.takes_write({{}, 0x10, 2}));
  EXPECT_FALSE(bus.takes_write({{}, 0x10, 4}));
  EXPECT_FALSE(bus.takes_write({{}, 0x12, 1}));
  EXPECT_TRUE(bus.takes_write({{}, 0x13, 1}));
  EXPECT_TRUE(bus.takes_write({{}, 0x0f, 4}));  // belongs to nobody
}

TEST(PortBus, GivesAllOnesWhereNobodyAnswers) {
  PortBus bus;
  Registers a;
  bus.claim(0x11, 1, a);
  std::uint32_t value = 0;
  bus.read({{}, 0x10, 2}, value);  // belongs to nobody, although the second byte is a device's
  EXPECT_EQ(value, 0xffffu);
  bus.write({{}, 0x10, 2}, 0);
  EXPECT_TRUE(a.value.empty());
}

TEST(PortBus, LeavesTheWidthToDevicesThatCare) {
  PortBus bus;
  Wide wide;
  bus.claim(0xfffe, 2, wide);
  std::uint32_t value = 0;
  EXPECT_EQ(bus.read({{}, 0xffff, 4}, value), Access::Wait);
  EXPECT_EQ(value, 4u);
  bus.write({{}, 0xfffe, 4}, 0x12345678);
  EXPECT_EQ(wide.last, 0x12345678u);
}

TEST(PortBus, WrapsAtTheEndOfThePorts) {
  PortBus bus;
  Registers a;
  bus.claim(0xffff, 1, a);
  bus.claim(0x0000, 1, a);
  bus.write({{}, 0xffff, 2}, 0x2211);
  EXPECT_EQ(a.value[0xffff], 0x11);
  EXPECT_EQ(a.value[0], 0x22);
}

struct Register final : MmioDevice {
  bool is_there = true;
  bool answers(std::uint64_t offset) const override { return is_there && offset < 4; }
  std::uint64_t read_mmio(const MmioAccess&) override { return 0; }
  std::uint64_t peek_mmio(const MmioAccess&) const override { return 0; }
  void write_mmio(const MmioAccess&, std::uint64_t) override {}
};

TEST(MmioBus, FindsTheFirstThatAnswers) {
  MmioBus bus;
  Register first, second;
  bus.claim({0x1000}, 8, first);
  bus.claim({0x1000}, 8, second);
  EXPECT_EQ(bus.find({0x1003})->device, &first);
  EXPECT_EQ(bus.find({0x1004}), nullptr);
  EXPECT_EQ(bus.find({0xfff}), nullptr);
  first.is_there = false;
  EXPECT_EQ(bus.find({0x1003})->device, &second);
}

}  // namespace
}  // namespace ringside::machine
