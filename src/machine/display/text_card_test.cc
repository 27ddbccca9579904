#include "machine/display/text_card.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

#include "machine/testing/fake_cpu_port.h"
#include "machine/testing/state_bytes.h"

namespace ringside::machine {
namespace {

struct TextCardTest : ::testing::Test {
  testing::FakeCpuPort cpus;
  TextCard card{cpus, TextCard::PowerOn::TextMode};

  void crtc(unsigned index, unsigned value) {
    card.write_port(0x3d4, static_cast<std::uint8_t>(index));
    card.write_port(0x3d5, static_cast<std::uint8_t>(value));
  }
  unsigned crtc(unsigned index) {
    card.write_port(0x3d4, static_cast<std::uint8_t>(index));
    return card.read_port(0x3d5);
  }
};

TEST_F(TextCardTest, ShowsEightyByTwentyFiveFromTheStart) {
  TextScreen usual;
  usual.columns = 80;
  usual.rows = 25;
  usual.pitch = 80;
  usual.has_cursor = true;
  EXPECT_EQ(card.screen(), usual);
}

TEST_F(TextCardTest, ShowsWhatItsRegistersSay) {
  crtc(0x0c, 0x01);
  crtc(0x0d, 0x40);
  crtc(0x0e, 0x02);
  crtc(0x0f, 0x03);
  EXPECT_EQ(card.screen().start, 0x140u);
  EXPECT_EQ(card.screen().cursor, 0x203u);
  crtc(0x0a, 0x2d);
  EXPECT_FALSE(card.screen().has_cursor);
  // Characters of 8 lines: twice as many rows.
  crtc(0x09, 0x47);
  EXPECT_EQ(card.screen().rows, 50u);
}

TEST_F(TextCardTest, ShowsNoMoreThanItHas) {
  crtc(0x11, 0);  // the first registers are protected until then
  for (unsigned index = 0; index < 0x19; ++index)
    crtc(index, index == 0x09 ? 0 : 0xff);
  const TextScreen screen = card.screen();
  EXPECT_EQ(screen.columns, TextScreen::kMostColumns);
  EXPECT_EQ(screen.rows, TextScreen::kMostRows);
  EXPECT_LT(screen.start, TextScreen::kCells);
  EXPECT_LT(screen.cursor, TextScreen::kCells);
}

TEST_F(TextCardTest, KeepsItsTimingWhileThatIsProtected) {
  crtc(0x01, 39);
  EXPECT_EQ(crtc(0x01), 79u);
  crtc(0x07, 0);  // bit 4 alone is free
  EXPECT_EQ(crtc(0x07), 0x0fu);
  crtc(0x11, 0x0e);
  crtc(0x01, 39);
  EXPECT_EQ(card.screen().columns, 40u);
}

TEST_F(TextCardTest, TakesIndexAndValueOfAttributesInTurn) {
  const auto attribute = [this](unsigned value) {
    card.write_port(0x3c0, static_cast<std::uint8_t>(value));
  };
  card.read_port(0x3da);
  attribute(0x21);
  attribute(0x2a);
  EXPECT_EQ(card.read_port(0x3c1), 0x2au);
  // A look at the status does not begin again; a read does.
  attribute(0x22);
  card.peek_port(0x3da);
  attribute(0x15);
  attribute(0x23);
  card.read_port(0x3da);
  attribute(0x22);
  EXPECT_EQ(card.read_port(0x3c1), 0x15u);
  // There is no attribute 31.
  card.read_port(0x3da);
  attribute(0x1f);
  attribute(0xff);
  EXPECT_EQ(card.read_port(0x3c1), 0u);
}

TEST_F(TextCardTest, ReadsAndWritesItsPaletteColourByColour) {
  card.write_port(0x3c8, 255);
  for (const unsigned value : {0x3fu, 0x41u, 2u, 3u})
    card.write_port(0x3c9, static_cast<std::uint8_t>(value));
  card.write_port(0x3c7, 255);
  EXPECT_EQ(card.read_port(0x3c7), 3u);
  EXPECT_EQ(card.read_port(0x3c9), 0x3fu);
  EXPECT_EQ(card.read_port(0x3c9), 1u);
  EXPECT_EQ(card.peek_port(0x3c9), 2u);
  EXPECT_EQ(card.read_port(0x3c9), 2u);
  EXPECT_EQ(card.read_port(0x3c9), 3u) << "the first entry comes after the last";
}

// Programs wait for a retrace to begin and to end.
TEST_F(TextCardTest, RetracesWithTime) {
  unsigned retraces = 0, shown = 0;
  bool before = false;
  for (unsigned microsecond = 0; microsecond < 1'000'000; microsecond += 10) {
    cpus.time = {microsecond * 1000ull};
    const unsigned status = card.read_port(0x3da);
    const bool now = (status & 8) != 0;
    retraces += now && !before;
    before = now;
    shown += (status & 1) == 0;
  }
  EXPECT_EQ(retraces, 70u);
  EXPECT_GT(shown, 60'000u);
  EXPECT_LT(shown, 80'000u);
}

TEST_F(TextCardTest, IsBlankBeforeFirmwareHasSetItUp) {
  TextCard blank(cpus, TextCard::PowerOn::Blank);
  EXPECT_EQ(blank.screen().rows, 0u);
  EXPECT_EQ(blank.read_port(0x3da), 0xffu) << "in monochrome its ports are elsewhere";
  blank.write_port(0x3c2, 0x67);
  EXPECT_NE(blank.read_port(0x3da), 0xffu);
}

TEST_F(TextCardTest, KnowsTextFromGraphics) {
  card.write_port(0x3ce, 6);
  card.write_port(0x3cf, 0x05);
  EXPECT_FALSE(card.screen().is_text);
}

TEST_F(TextCardTest, IsAsAfterPowerOnAfterAReset) {
  const auto fresh = testing::save(card);
  for (unsigned port = 0x3c0; port < 0x3e0; ++port)
    card.write_port(static_cast<std::uint16_t>(port), 5);
  EXPECT_NE(testing::save(card), fresh);
  card.reset();
  EXPECT_EQ(testing::save(card), fresh);
}

TEST_F(TextCardTest, ShowsOnALookWhatAReadGives) {
  for (unsigned port = 0x3c0; port < 0x3e0; ++port) {
    const auto at = static_cast<std::uint16_t>(port);
    const unsigned peeked = card.peek_port(at);
    EXPECT_EQ(card.read_port(at), peeked) << port;
  }
}

}  // namespace
}  // namespace ringside::machine
