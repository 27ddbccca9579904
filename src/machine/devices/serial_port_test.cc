#include "machine/devices/serial_port.h"

#include <gtest/gtest.h>

#include <string>

#include "machine/testing/fake_lines.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

constexpr std::uint16_t kData = 0x3f8, kIer = 0x3f9, kIir = 0x3fa, kFcr = 0x3fa, kLcr = 0x3fb,
                        kMcr = 0x3fc, kLsr = 0x3fd, kMsr = 0x3fe, kScratch = 0x3ff;

struct SerialPortTest : ::testing::Test {
  testing::FakeLines lines;
  std::string sent;
  unsigned taken = 0;
  bool full = false;
  SerialPort port{0x3f8,
                  {lines, 4},
                  {[this](std::span<const std::byte> bytes) {
                     for (std::byte b : bytes)
                       sent.push_back(static_cast<char>(b));
                   },
                   [this] { return full; }},
                  [this] { ++taken; }};
  void out(std::uint16_t p, unsigned value) {
    port.write_port(p, static_cast<std::uint8_t>(value));
  }
  unsigned in(std::uint16_t p) { return port.read_port(p); }
  void type(std::string_view text) { port.receive(std::as_bytes(std::span(text))); }
};

TEST_F(SerialPortTest, SendsAndIsAlwaysEmptyAgain) {
  for (char c : std::string("hi")) {
    EXPECT_EQ(in(kLsr), 0x60u);
    out(kData, static_cast<unsigned char>(c));
  }
  EXPECT_EQ(sent, "hi");
}

TEST_F(SerialPortTest, TakesNothingToSendWhileItsSinkIsFull) {
  EXPECT_TRUE(port.takes_write(kData));
  full = true;
  EXPECT_FALSE(port.takes_write(kData));
  EXPECT_TRUE(port.takes_write(kIer));
  out(kLcr, 0x80);  // the divisor is not sent
  EXPECT_TRUE(port.takes_write(kData));
  out(kLcr, 0);
  out(kMcr, 0x10);  // nor what is looped back
  EXPECT_TRUE(port.takes_write(kData));
}

TEST_F(SerialPortTest, DivisorLatchHidesDataAndInterruptEnable) {
  out(kIer, 5);
  out(kLcr, 0x83);
  out(kData, 0x34);
  out(kIer, 0x12);
  EXPECT_EQ(in(kData), 0x34u);
  EXPECT_EQ(in(kIer), 0x12u);
  out(kLcr, 0x03);
  EXPECT_EQ(in(kIer), 5u);
  EXPECT_EQ(sent, "");
}

TEST_F(SerialPortTest, HasOneCharacterWithoutFifoAndSixteenWithIt) {
  EXPECT_EQ(port.room(), 1u);
  out(kFcr, 1);
  EXPECT_EQ(port.room(), 16u);
  type("0123456789abcdef");
  EXPECT_EQ(port.room(), 0u);
  EXPECT_EQ(in(kLsr), 0x61u);
  type("X");
  EXPECT_EQ(in(kLsr), 0x63u);  // overrun, which the read clears
  EXPECT_EQ(in(kLsr), 0x61u);
  for (char c : std::string("0123456789abcdef"))
    EXPECT_EQ(in(kData), static_cast<unsigned>(c));
  EXPECT_EQ(in(kLsr), 0x60u);
}

TEST_F(SerialPortTest, InterruptNeedsOut2) {
  out(kIer, 1);
  type("a");
  EXPECT_FALSE(lines.level[4]);
  EXPECT_EQ(in(kIir), 0x04u);
  out(kMcr, 8);
  EXPECT_TRUE(lines.level[4]);
  in(kData);
  EXPECT_FALSE(lines.level[4]);
  EXPECT_EQ(in(kIir), 0x01u);
}

TEST_F(SerialPortTest, ReportsTimeoutBelowTheTriggerLevel) {
  out(kMcr, 8);
  out(kFcr, 0x81);  // 8 characters
  out(kIer, 1);
  type("1234567");
  EXPECT_EQ(in(kIir), 0xccu);
  type("8");
  EXPECT_EQ(in(kIir), 0xc4u);
  EXPECT_EQ(lines.rises[4], 1u);
}

// What Linux's 8250 driver relies on: enabling raises it, reading IIR clears it, writing raises it.
TEST_F(SerialPortTest, TransmitInterruptComesWithTheEnableAndAfterEachWrite) {
  out(kMcr, 8);
  out(kIer, 2);
  EXPECT_TRUE(lines.level[4]);
  EXPECT_EQ(in(kIir), 0x02u);
  EXPECT_EQ(in(kIir), 0x01u);
  EXPECT_FALSE(lines.level[4]);
  out(kIer, 0);
  out(kIer, 2);
  EXPECT_EQ(in(kIir), 0x02u);
  out(kData, 'x');
  EXPECT_TRUE(lines.level[4]);
  EXPECT_EQ(lines.rises[4], 3u);
  out(kData, 'y');  // a new edge, though nobody has looked at the first
  EXPECT_EQ(lines.rises[4], 4u);
  EXPECT_EQ(in(kIir), 0x02u);
  out(kIer, 2);  // already enabled: no news
  EXPECT_EQ(in(kIir), 0x01u);
}

TEST_F(SerialPortTest, LineStatusComesBeforeDataBeforeTransmit) {
  out(kIer, 7);
  type("ab");  // the second overruns
  EXPECT_EQ(in(kIir), 0x06u);
  in(kLsr);
  EXPECT_EQ(in(kIir), 0x04u);
  in(kData);
  EXPECT_EQ(in(kIir), 0x02u);
  EXPECT_EQ(in(kIir), 0x01u);
}

TEST_F(SerialPortTest, LoopbackReturnsDataAndModemOutputs) {
  out(kMcr, 0x1a);  // loop, OUT2, RTS: the probe of Linux's driver
  EXPECT_EQ(in(kMsr)&0xf0, 0x90u);
  out(kData, 'L');
  EXPECT_EQ(sent, "");
  EXPECT_EQ(in(kData), static_cast<unsigned>('L'));
  EXPECT_EQ(port.room(), 0u);
  type("z");
  EXPECT_EQ(in(kLsr), 0x60u);
}

TEST_F(SerialPortTest, TellsWhenMoreMayCome) {
  out(kFcr, 1);
  type("ab");
  in(kData);
  EXPECT_EQ(taken, 0u);
  in(kData);
  EXPECT_EQ(taken, 1u);
  in(kData);  // nothing there
  EXPECT_EQ(taken, 1u);
  type("c");
  out(kFcr, 3);  // thrown away
  EXPECT_EQ(taken, 2u);
  out(kMcr, 0x10);  // in loopback nothing comes from outside
  EXPECT_EQ(port.room(), 0u);
  EXPECT_EQ(taken, 2u);
  out(kMcr, 0);
  EXPECT_EQ(port.room(), 16u);
  EXPECT_EQ(taken, 3u);
}

TEST_F(SerialPortTest, ModemDeltasInterruptAndClearOnRead) {
  out(kIer, 8);
  out(kMcr, 0x18);  // CTS and DSR go away, carrier stays by OUT2
  EXPECT_EQ(in(kIir), 0x00u);
  EXPECT_EQ(in(kMsr), 0x83u);
  EXPECT_EQ(in(kMsr), 0x80u);
  EXPECT_EQ(in(kIir), 0x01u);
}

TEST_F(SerialPortTest, IdentifiesAsA16550A) {
  out(kFcr, 1);
  EXPECT_EQ(in(kIir)&0xc0, 0xc0u);
  out(kFcr, 0);
  EXPECT_EQ(in(kIir)&0xc0, 0u);
  out(kScratch, 0x5a);
  EXPECT_EQ(in(kScratch), 0x5au);
}

TEST_F(SerialPortTest, StateMovesToAnotherPort) {
  out(kFcr, 1);
  out(kIer, 1);
  type("ab");
  SerialPort other{0x3f8, {lines, 5}, {}};
  EXPECT_TRUE(testing::load(other, testing::save(port)));
  EXPECT_EQ(other.read_port(kData), 'a');
  EXPECT_EQ(other.read_port(kIer), 1);
}

}  // namespace
}  // namespace ringside::machine
