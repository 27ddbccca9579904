#include "machine/interrupts/io_apic.h"

#include <gtest/gtest.h>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct IoApicTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  EventQueue events{cpus};
  ApicBus bus{2, events, cpus};
  IoApic io{bus};

  IoApicTest() {
    bus.connect(&io);
    for (std::uint32_t i = 0; i < 2; ++i)
      bus.apic({i}).write_mmio(0x0f, 0x1ff);
  }
  std::uint32_t read(std::uint32_t number) {
    io.write_mmio({{}, 0, 4}, number);
    return static_cast<std::uint32_t>(io.read_mmio({{}, 0x10, 4}));
  }
  void write(std::uint32_t number, std::uint32_t value) {
    io.write_mmio({{}, 0, 4}, number);
    io.write_mmio({{}, 0x10, 4}, value);
  }
  void redirect(unsigned pin, std::uint32_t low, std::uint32_t destination = 0) {
    write(0x11 + 2 * pin, destination << 24);
    write(0x10 + 2 * pin, low);
  }
  void eoi(std::uint32_t i) { bus.apic({i}).write_mmio(0x0b, 0); }
  std::optional<std::uint8_t> take(std::uint32_t i) { return bus.apic({i}).acknowledge(); }
};

TEST_F(IoApicTest, IdentifiesItself) {
  EXPECT_EQ(read(1), 0x00170020u);
  write(0, 0x05000000);
  EXPECT_EQ(read(0), 0x05000000u);
  EXPECT_EQ(read(0x10), 0x10000u);
  EXPECT_EQ(read(0x3f), 0u);
  EXPECT_EQ(read(0x40), 0xffffffffu);
}

TEST_F(IoApicTest, EdgeGoesToItsDestination) {
  redirect(4, 0x34, 1);
  io.set_pin(4, true);
  EXPECT_EQ(take(1), 0x34);
  eoi(1);
  EXPECT_EQ(take(1), std::nullopt);
  io.set_pin(4, false);
  io.set_pin(4, true);
  EXPECT_EQ(take(1), 0x34);
  EXPECT_EQ(take(0), std::nullopt);
}

TEST_F(IoApicTest, EdgeWhileMaskedIsLost) {
  redirect(4, 0x10034);
  io.set_pin(4, true);
  redirect(4, 0x34);
  EXPECT_EQ(take(0), std::nullopt);
}

TEST_F(IoApicTest, LevelComesAgainUntilItGoesAway) {
  redirect(9, 0x8039);
  io.set_pin(9, true);
  EXPECT_EQ(read(0x22), 0xc039u);  // remote IRR
  EXPECT_EQ(take(0), 0x39);
  eoi(0);
  EXPECT_EQ(take(0), 0x39);
  io.set_pin(9, false);
  eoi(0);
  EXPECT_EQ(read(0x22), 0x8039u);
  EXPECT_EQ(take(0), std::nullopt);
}

TEST_F(IoApicTest, LevelWhileMaskedComesWithTheUnmask) {
  redirect(9, 0x18039);
  io.set_pin(9, true);
  EXPECT_EQ(take(0), std::nullopt);
  redirect(9, 0x8039);
  EXPECT_EQ(take(0), 0x39);
}

TEST_F(IoApicTest, EoiRegisterAndEdgeTrickClearRemoteIrr) {
  redirect(9, 0x8039);
  io.set_pin(9, true);
  io.set_pin(9, false);
  io.write_mmio({{}, 0x40, 4}, 0x39);
  EXPECT_EQ(read(0x22), 0x8039u);
  io.set_pin(9, true);
  io.set_pin(9, false);
  redirect(9, 0x10039);
  redirect(9, 0x18039);
  EXPECT_EQ(read(0x22), 0x18039u);
}

TEST_F(IoApicTest, RefusedLevelIsNotMarkedAsServed) {
  bus.apic({0}).write_mmio(0x0f, 0xff);  // software-disabled
  redirect(9, 0x8039);
  io.set_pin(9, true);
  EXPECT_EQ(read(0x22), 0x8039u);
}

TEST_F(IoApicTest, BroadcastAndNmi) {
  redirect(3, 0x33, 0xff);
  io.set_pin(3, true);
  EXPECT_EQ(take(0), 0x33);
  EXPECT_EQ(take(1), 0x33);
  redirect(5, 0x400, 1);
  io.set_pin(5, true);
  EXPECT_EQ(cpus.happened, (std::vector<std::string>{"nmi 1"}));
}

TEST_F(IoApicTest, StateMoves) {
  redirect(9, 0x8039);
  io.set_pin(9, true);
  IoApic other(bus);
  EXPECT_TRUE(testing::load(other, testing::save(io)));
  EXPECT_EQ(testing::save(other), testing::save(io));
}

}  // namespace
}  // namespace ringside::machine
