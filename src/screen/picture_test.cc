#include "screen/picture.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace ringside::screen {
namespace {

using machine::TextScreen;

struct PictureTest : ::testing::Test {
  std::array<std::byte, machine::TextCard::kMemorySize> memory{};
  TextScreen screen = small();

  static TextScreen small() {
    TextScreen screen;
    screen.columns = 4;
    screen.rows = 2;
    screen.pitch = 6;
    screen.has_cursor = true;
    return screen;
  }
  void put(unsigned cell, std::uint16_t value) { std::memcpy(&memory[2 * cell], &value, 2); }
};

TEST_F(PictureTest, IsOfWhatTheCardShows) {
  screen.start = 10;
  screen.cursor = 17;
  put(10, 0x0741);
  put(13, 0x0742);
  put(14, 0x0758);  // between the rows
  put(16, 0x1e01);
  const Picture picture = picture_of(screen, memory);
  EXPECT_EQ(picture.cells, (std::vector<std::uint16_t>{0x0741, 0, 0, 0x0742, 0x1e01, 0, 0, 0}));
  EXPECT_EQ(picture.cursor, (Place{1, 1}));
  EXPECT_EQ(text_of(picture), "A  B\n☺\n");
}

TEST_F(PictureTest, GoesOnAtTheBeginningOfTheMemory) {
  screen.start = TextScreen::kCells - 2;
  screen.cursor = 1;
  put(TextScreen::kCells - 1, 0x0741);
  put(0, 0x0742);
  const Picture picture = picture_of(screen, memory);
  EXPECT_EQ(text_of(picture), " AB\n\n");
  EXPECT_EQ(picture.cursor, (Place{0, 3}));
}

TEST_F(PictureTest, HasNoCursorOutsideOfIt) {
  for (const unsigned cursor : {4u, 5u, 12u, TextScreen::kCells - 1}) {
    screen.cursor = cursor;
    EXPECT_EQ(picture_of(screen, memory).cursor, std::nullopt) << cursor;
  }
  screen.cursor = 0;
  screen.has_cursor = false;
  EXPECT_EQ(picture_of(screen, memory).cursor, std::nullopt);
  screen.has_cursor = true;
  screen.pitch = 0;
  EXPECT_EQ(picture_of(screen, memory).cursor, std::nullopt);
}

TEST_F(PictureTest, OfTheLargestScreenStaysInTheMemory) {
  screen.rows = TextScreen::kMostRows;
  screen.columns = TextScreen::kMostColumns;
  screen.pitch = 510;
  screen.start = TextScreen::kCells - 1;
  EXPECT_EQ(picture_of(screen, memory).cells.size(), 128u * 256);
}

TEST_F(PictureTest, IsEmptyInAGraphicsMode) {
  screen.is_text = false;
  EXPECT_EQ(picture_of(screen, memory).rows, 0u);
}

TEST_F(PictureTest, APartOfItReachesDownToTheCursor) {
  const Picture whole{true, 3, 2, {1, 2, 3, 4, 5, 6}, Place{2, 0}};
  EXPECT_EQ(part_of(whole, 3, 2), whole);
  EXPECT_EQ(part_of(whole, 2, 2), (Picture{true, 2, 2, {3, 4, 5, 6}, Place{1, 0}}));
  EXPECT_EQ(part_of(whole, 1, 1), (Picture{true, 1, 1, {5}, Place{0, 0}}));
  EXPECT_EQ(part_of(whole, 0, 5), (Picture{true, 0, 2, {}, {}}));
  Picture other = whole;
  other.cursor = Place{0, 1};
  EXPECT_EQ(part_of(other, 2, 1), (Picture{true, 2, 1, {1, 3}, {}}));
  other.cursor.reset();
  EXPECT_EQ(part_of(other, 1, 2), (Picture{true, 1, 2, {1, 2}, {}}));
}

}  // namespace
}  // namespace ringside::screen
