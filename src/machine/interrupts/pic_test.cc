#include "machine/interrupts/pic.h"

#include <gtest/gtest.h>

#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct PicTest : ::testing::Test {
  testing::FakeLines out;
  PicPair pics{{out, 0}};

  PicTest() {
    pics.reset();
    initialise(0x20, 0x20, 4);
    initialise(0xa0, 0x28, 2);
  }
  void write(std::uint16_t port, unsigned value) {
    pics.write_port(port, static_cast<std::uint8_t>(value));
  }
  void initialise(std::uint16_t port, unsigned base, unsigned wiring, unsigned icw4 = 1) {
    write(port, 0x11);
    write(port + 1, base);
    write(port + 1, wiring);
    write(port + 1, icw4);
  }
  void pulse(unsigned line) {
    pics.set_line(line, true);
    pics.set_line(line, false);
  }
};

TEST_F(PicTest, DeliversAnEdgeOnce) {
  pics.set_line(4, true);
  EXPECT_TRUE(out.level[0]);
  EXPECT_EQ(pics.acknowledge(), 0x24);
  EXPECT_FALSE(out.level[0]);
  write(0x20, 0x20);
  EXPECT_FALSE(out.level[0]);  // the line is still high, but that is no new edge
  pics.set_line(4, false);
  pics.set_line(4, true);
  EXPECT_TRUE(out.level[0]);
}

TEST_F(PicTest, LowerLinesComeFirstAndHoldBackHigherOnes) {
  pulse(4);
  pulse(1);
  EXPECT_EQ(pics.acknowledge(), 0x21);
  EXPECT_FALSE(out.level[0]);
  pulse(0);
  EXPECT_EQ(pics.acknowledge(), 0x20);
  write(0x20, 0x20);
  EXPECT_FALSE(out.level[0]);
  write(0x20, 0x20);
  EXPECT_EQ(pics.acknowledge(), 0x24);
}

TEST_F(PicTest, SlaveComesThroughTheCascade) {
  pulse(8);
  EXPECT_TRUE(out.level[0]);
  EXPECT_EQ(pics.acknowledge(), 0x28);
  pulse(12);
  EXPECT_FALSE(out.level[0]);
  write(0xa0, 0x20);
  EXPECT_FALSE(out.level[0]);  // the master still serves the cascade
  write(0x20, 0x20);
  EXPECT_EQ(pics.acknowledge(), 0x2c);
}

TEST_F(PicTest, ALookTellsWhatAnAcknowledgeWouldGive) {
  EXPECT_EQ(pics.peek_vector(), 0x27);  // the request went away
  pulse(12);
  EXPECT_EQ(pics.peek_vector(), 0x2c);
  pulse(1);
  EXPECT_EQ(pics.peek_vector(), 0x21);
  EXPECT_EQ(pics.acknowledge(), 0x21);
  write(0x20, 0x20);
  EXPECT_EQ(pics.peek_vector(), 0x2c);
  EXPECT_EQ(pics.acknowledge(), 0x2c);
}

TEST_F(PicTest, MasksAndReadsThem) {
  write(0x21, 0x10);
  EXPECT_EQ(pics.read_port(0x21), 0x10);
  pulse(4);
  EXPECT_FALSE(out.level[0]);
  EXPECT_EQ(pics.read_port(0x20), 0x10);  // IRR
  write(0x21, 0);
  EXPECT_TRUE(out.level[0]);
}

TEST_F(PicTest, ReadsTheServiceRegister) {
  pulse(3);
  pics.acknowledge();
  write(0x20, 0x0b);
  EXPECT_EQ(pics.read_port(0x20), 0x08);
  write(0x20, 0x0a);
  EXPECT_EQ(pics.read_port(0x20), 0);
}

TEST_F(PicTest, LevelTriggeredLinesFollowTheirLevel) {
  write(0x4d0, 0xff);
  EXPECT_EQ(pics.read_port(0x4d0), 0xf8);
  write(0x4d1, 0xff);
  EXPECT_EQ(pics.read_port(0x4d1), 0xde);
  pics.set_line(5, true);
  pics.set_line(5, false);
  EXPECT_FALSE(out.level[0]);
  EXPECT_EQ(pics.acknowledge(), 0x27);  // spurious
  write(0x20, 0x0b);
  EXPECT_EQ(pics.read_port(0x20), 0);
  pics.set_line(9, true);
  EXPECT_EQ(pics.acknowledge(), 0x29);
  write(0xa0, 0x20);
  write(0x20, 0x20);
  EXPECT_TRUE(out.level[0]);  // asserted still
  pics.set_line(9, false);
  EXPECT_FALSE(out.level[0]);
}

TEST_F(PicTest, AutomaticEoiAndRotation) {
  initialise(0x20, 0x20, 4, 3);
  write(0x20, 0x80);
  pulse(1);
  pulse(3);
  EXPECT_EQ(pics.acknowledge(), 0x21);
  pulse(1);  // line 1 now has the lowest priority
  EXPECT_EQ(pics.acknowledge(), 0x23);
  EXPECT_EQ(pics.acknowledge(), 0x21);
}

TEST_F(PicTest, SpecificEoiAndSetPriority) {
  pulse(4);
  pics.acknowledge();
  pulse(1);
  pics.acknowledge();
  write(0x20, 0x64);  // ends line 4
  write(0x20, 0x0b);
  EXPECT_EQ(pics.read_port(0x20), 0x02);
  write(0x20, 0x61);
  write(0x20, 0xc3);  // line 3 lowest, so 4 highest
  pulse(0);
  pulse(4);
  EXPECT_EQ(pics.acknowledge(), 0x24);
}

TEST_F(PicTest, SpecialMaskLetsLowerOnesThrough) {
  pulse(1);
  pics.acknowledge();
  pulse(4);
  EXPECT_FALSE(out.level[0]);
  write(0x20, 0x68);
  write(0x21, 0x02);
  EXPECT_TRUE(out.level[0]);
}

TEST_F(PicTest, PollAcknowledges) {
  pulse(6);
  write(0x20, 0x0c);
  EXPECT_EQ(pics.read_port(0x20), 0x86);
  write(0x20, 0x0c);
  EXPECT_EQ(pics.read_port(0x20), 0);
  EXPECT_FALSE(out.level[0]);
}

TEST_F(PicTest, InitialisationForgetsRequests) {
  pulse(4);
  initialise(0x20, 0x40, 4);
  EXPECT_FALSE(out.level[0]);
  pulse(4);
  EXPECT_EQ(pics.acknowledge(), 0x44);
}

TEST_F(PicTest, StateMoves) {
  pulse(4);
  PicPair other{{out, 1}};
  EXPECT_TRUE(testing::load(other, testing::save(pics)));
  EXPECT_EQ(other.acknowledge(), 0x24);
}

}  // namespace
}  // namespace ringside::machine
