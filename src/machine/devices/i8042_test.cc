#include "machine/devices/i8042.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct I8042Test : ::testing::Test {
  testing::FakeCpuPort cpus;
  testing::FakeLines lines;
  SystemControl system{cpus};
  I8042 keyboard{system, {lines, 1}};

  I8042Test() { keyboard.reset(); }
  void command(unsigned value) { keyboard.write_port(0x64, static_cast<std::uint8_t>(value)); }
  void data(unsigned value) { keyboard.write_port(0x60, static_cast<std::uint8_t>(value)); }
  unsigned status() { return keyboard.read_port(0x64); }
  unsigned read() { return keyboard.read_port(0x60); }
};

TEST_F(I8042Test, ResetsTheMachineByItsPulse) {
  command(0xff);
  EXPECT_FALSE(cpus.ended);
  command(0xfe);
  ASSERT_TRUE(cpus.ended);
  EXPECT_EQ(cpus.ended->kind, hypervisor::VmEnd::Kind::Reboot);
}

TEST_F(I8042Test, SwitchesA20ThroughItsOutputPort) {
  command(0xd1);
  data(0xdd);
  EXPECT_FALSE(cpus.a20);
  command(0xd0);
  EXPECT_EQ(read() & 2, 0u);
  command(0xd1);
  data(0xdf);
  EXPECT_TRUE(cpus.a20);
  EXPECT_FALSE(cpus.ended);
}

TEST_F(I8042Test, PassesTheProbesOfDrivers) {
  EXPECT_EQ(status() & 1, 0u);
  command(0xaa);
  EXPECT_EQ(status() & 1, 1u);
  EXPECT_EQ(read(), 0x55u);
  EXPECT_EQ(status() & 1, 0u);
  command(0xab);
  EXPECT_EQ(read(), 0u);
  command(0x60);
  data(0x47);
  command(0x20);
  EXPECT_EQ(read(), 0x47u);
  data(0xff);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(read(), 0xaau);
  data(0xed);
  EXPECT_EQ(read(), 0xfau);
  data(7);
  EXPECT_EQ(read(), 0xfau);
  data(0xf0);
  data(0);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(read(), 0x41u) << "2, translated";
}

TEST_F(I8042Test, InterruptsOncePerByte) {
  data(0xff);
  EXPECT_EQ(lines.rises[1], 1u);
  read();
  EXPECT_EQ(lines.rises[1], 2u);
  read();
  EXPECT_FALSE(lines.level[1]);
}

TEST_F(I8042Test, KeepsAtMostItsBuffer) {
  for (int i = 0; i < 100; ++i)
    data(0xff);
  for (int i = 0; i < 16; ++i)
    read();
  EXPECT_EQ(status() & 1, 0u);
}

// A key that is pressed and released, with and without a prefix, as a guest of each set gets it.
TEST_F(I8042Test, GivesKeysInTheSetThatTheGuestWants) {
  constexpr std::array kCodes = {std::byte{0x1e}, std::byte{0x9e}, std::byte{0xe0},
                                 std::byte{0x48}, std::byte{0xe0}, std::byte{0xc8}};
  const auto keys = [&] {
    keyboard.receive(kCodes);
    std::vector<unsigned> read_bytes;
    while ((status() & 1) != 0)
      read_bytes.push_back(read());
    return read_bytes;
  };
  const std::vector<unsigned> set_1 = {0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8};
  EXPECT_EQ(keys(), set_1) << "the controller translates";
  command(0x60);
  data(0x05);  // it does not
  EXPECT_EQ(keys(), (std::vector<unsigned>{0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75}));
  data(0xf0);
  data(1);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(keys(), set_1) << "the keyboard speaks set 1";
  data(0xf0);
  data(0);
  EXPECT_EQ((std::vector{read(), read(), read()}), (std::vector{0xfau, 0xfau, 1u}));
}

TEST_F(I8042Test, HasRoomForKeysWhenTheGuestHasReadTheLast) {
  unsigned taken = 0;
  I8042 waiting{system, {lines, 1}, [&] { ++taken; }};
  waiting.reset();
  EXPECT_EQ(waiting.room(), 8u);
  waiting.receive(std::vector<std::byte>(20, std::byte{0x9e}));
  EXPECT_TRUE(lines.level[1]);
  EXPECT_EQ(waiting.room(), 0u);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(taken, 0u);
    EXPECT_EQ(waiting.read_port(0x60), 0x9e);
  }
  EXPECT_EQ(taken, 1u);
  EXPECT_FALSE(lines.level[1]);
  EXPECT_EQ(waiting.room(), 8u) << "what was beyond the room is lost";
}

TEST_F(I8042Test, HasNoRoomForKeysThatNobodyWants) {
  data(0xf5);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(keyboard.room(), 0u);
  data(0xf4);
  EXPECT_EQ(read(), 0xfau);
  EXPECT_EQ(keyboard.room(), 8u);
  command(0xad);
  EXPECT_EQ(keyboard.room(), 0u);
  command(0xae);
  EXPECT_EQ(keyboard.room(), 8u);
}

TEST_F(I8042Test, StateMoves) {
  data(0xf2);
  I8042 other{system, {lines, 2}};
  EXPECT_TRUE(testing::load(other, testing::save(keyboard)));
  EXPECT_EQ(other.read_port(0x60), 0xfa);
  EXPECT_EQ(other.read_port(0x60), 0xab);
}

TEST(SystemControl, Port92SwitchesA20AndResets) {
  testing::FakeCpuPort cpus;
  SystemControl system(cpus);
  EXPECT_EQ(system.read_port(0x92), 2);
  system.write_port(0x92, 0);
  EXPECT_FALSE(cpus.a20);
  EXPECT_EQ(system.read_port(0x92), 0);
  system.write_port(0x92, 2);
  EXPECT_TRUE(cpus.a20);
  EXPECT_FALSE(cpus.ended);
  system.write_port(0x92, 3);
  ASSERT_TRUE(cpus.ended);
  EXPECT_EQ(cpus.ended->kind, hypervisor::VmEnd::Kind::Reboot);
}

TEST(SystemControl, ResetControlResetsAsBit2Rises) {
  testing::FakeCpuPort cpus;
  SystemControl system(cpus);
  system.write_port(0xcf9, 2);
  EXPECT_FALSE(cpus.ended);
  EXPECT_EQ(system.read_port(0xcf9), 2);
  system.write_port(0xcf9, 6);
  EXPECT_TRUE(cpus.ended);
}

}  // namespace
}  // namespace ringside::machine
