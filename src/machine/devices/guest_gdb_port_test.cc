#include "machine/devices/guest_gdb_port.h"

#include <gtest/gtest.h>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr VcpuId kFirst{0}, kSecond{1};

struct GuestGdbPortTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  unsigned wants = 0, taken = 0;
  std::string sent;
  GuestGdbPort port{cpus, [this] { ++wants; },
                    [this](std::span<const std::byte> b) { sent += static_cast<char>(b[0]); },
                    [this] { ++taken; }};
  std::uint32_t value = 0;

  Access read(unsigned width, VcpuId vcpu = kFirst) {
    return port.read_port({vcpu, 0x224, width}, value);
  }
  Access write(std::uint32_t v, VcpuId vcpu = kFirst) {
    return port.write_port({vcpu, 0x224, 4}, v);
  }
  void type(std::string_view text) { port.receive(std::as_bytes(std::span(text))); }
};

TEST_F(GuestGdbPortTest, TellsItsSignatureWithoutAClient) {
  EXPECT_EQ(read(2), Access::Done);
  EXPECT_EQ(value, 0x4256u);
  EXPECT_EQ(read(1), Access::Done);
  EXPECT_EQ(value, 0xffu);
  EXPECT_EQ(wants, 0u);
}

TEST_F(GuestGdbPortTest, DataWaitsForAClient) {
  EXPECT_EQ(read(4), Access::Wait);
  EXPECT_EQ(write('x', kSecond), Access::Wait);
  EXPECT_EQ(wants, 1u);
  port.set_connected(true);
  EXPECT_EQ(cpus.happened, (std::vector<std::string>{"retry 0", "retry 1"}));
  EXPECT_EQ(read(4), Access::Done);
  EXPECT_EQ(value, 0xffffffffu);
  EXPECT_EQ(write('x', kSecond), Access::Done);
  EXPECT_EQ(sent, "x");
}

TEST_F(GuestGdbPortTest, BytesComeInOrderAndEndInMinusOne) {
  port.set_connected(true);
  type("ab\xff");
  for (std::uint32_t expected : {0x61u, 0x62u, 0xffu, 0xffffffffu}) {
    EXPECT_EQ(read(4), Access::Done);
    EXPECT_EQ(value, expected);
  }
  EXPECT_EQ(taken, 1u);  // with the last one
}

TEST_F(GuestGdbPortTest, WaitsAgainAfterADisconnect) {
  port.set_connected(true);
  type("a");
  port.set_connected(false);
  EXPECT_EQ(read(4), Access::Done);  // sent before the client left
  EXPECT_EQ(value, 0x61u);
  EXPECT_EQ(read(4), Access::Wait);
  EXPECT_EQ(wants, 1u);
  port.set_connected(true);
  EXPECT_EQ(read(4), Access::Done);
  EXPECT_EQ(value, 0xffffffffu);
}

TEST_F(GuestGdbPortTest, StateMoves) {
  port.set_connected(true);
  type("ab");
  GuestGdbPort other{cpus, {}, {}};
  EXPECT_TRUE(testing::load(other, testing::save(port)));
  EXPECT_EQ(other.read_port({kFirst, 0x224, 4}, value), Access::Done);
  EXPECT_EQ(value, 0x61u);
}

}  // namespace
}  // namespace ringside::machine
