#include "screen/painter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "screen/testing/terminal.h"

namespace ringside::screen {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Picture blank(unsigned rows, unsigned columns) {
  return {true, rows, columns, std::vector<std::uint16_t>(std::size_t{rows} * columns, 0x0720), {}};
}

struct PainterTest : ::testing::Test {
  testing::Terminal terminal{20};
  Painter painter;
  Picture picture = blank(3, 8);
  void paint() { terminal.take(painter.paint(picture)); }
};

TEST_F(PainterTest, DrawsAllOfTheFirstAndThenWhatHasChanged) {
  picture.cells[0] = 0x0741;
  paint();
  EXPECT_EQ(terminal.written, 24u);
  EXPECT_EQ(terminal.row(0), "A       ............");
  EXPECT_EQ(painter.paint(picture), "");
  picture.cells[9] = 0x07db;
  picture.cells[10] = 0x0742;
  paint();
  EXPECT_EQ(terminal.written, 26u);
  EXPECT_EQ(terminal.row(1), " █B     ............");
}

TEST_F(PainterTest, LeavesTheTerminalsCursorBelowForMessages) {
  paint();
  EXPECT_EQ(terminal.at, std::pair(4u, 0u));
  EXPECT_EQ(terminal.scrolls_from, 4u);
  terminal.at = {6, 3};
  picture.cells[0] = 0x0741;
  paint();
  EXPECT_EQ(terminal.at, std::pair(6u, 3u));
  terminal.take(painter.leave());
  EXPECT_EQ(terminal.at, std::pair(6u, 3u));
  EXPECT_EQ(terminal.scrolls_from, 0u);
  EXPECT_EQ(painter.leave(), "");
}

TEST_F(PainterTest, HasTheColoursOfTheCard) {
  picture.cells = {0x0741, 0x1e41, 0x4241, 0x8941, 0x7041, 0x0720, 0x0720, 0x0720};
  picture.rows = 1;
  paint();
  EXPECT_EQ(terminal.look(0, 0), "0;37;40");
  EXPECT_EQ(terminal.look(0, 1), "0;93;44");
  EXPECT_EQ(terminal.look(0, 2), "0;32;41");
  EXPECT_EQ(terminal.look(0, 3), "0;94;40;5");
  EXPECT_EQ(terminal.look(0, 4), "0;30;47");
}

TEST_F(PainterTest, ShowsTheGuestsCursorReversed) {
  picture.cursor = Place{1, 2};
  paint();
  EXPECT_EQ(terminal.look(1, 2), "0;37;40;7");
  picture.cursor = Place{2, 7};
  const unsigned before = terminal.written;
  paint();
  EXPECT_EQ(terminal.written, before + 2);
  EXPECT_EQ(terminal.look(1, 2), "0;37;40");
  EXPECT_EQ(terminal.look(2, 7), "0;37;40;7");
}

TEST_F(PainterTest, BeginsAgainWithAnotherSize) {
  paint();
  picture = blank(2, 4);
  paint();
  EXPECT_EQ(terminal.row(0), "    ................");
  EXPECT_EQ(terminal.row(2), "....................");
  EXPECT_EQ(terminal.scrolls_from, 3u);
}

TEST_F(PainterTest, LeavesTwoRowsOfASmallTerminalToMessages) {
  for (const auto& [rows, shown, scrolls] : {std::array{9u, 3u, 4u},
                                             {6u, 3u, 4u},
                                             {5u, 3u, 3u},
                                             {4u, 2u, 2u},
                                             {3u, 1u, 1u},
                                             {2u, 0u, 0u},
                                             {1u, 0u, 0u}}) {
    terminal.take(painter.paint(picture, TerminalSize{rows, 8}));
    EXPECT_EQ(terminal.cells.size(), shown * 8) << rows;
    EXPECT_EQ(terminal.scrolls_from, scrolls) << rows;
    EXPECT_EQ(terminal.at, std::pair(scrolls, 0u)) << rows;
    EXPECT_EQ(painter.paint(picture, TerminalSize{rows, 8}), "") << rows;
  }
}

TEST_F(PainterTest, BeginsAgainWhenItIsTold) {
  paint();
  terminal.cells.clear();
  painter.forget();
  paint();
  EXPECT_EQ(terminal.cells.size(), 24u);
}

TEST_F(PainterTest, SaysThatItCannotShowGraphics) {
  paint();
  picture = {false, 0, 0, {}, {}};
  const std::string text = painter.paint(picture);
  EXPECT_THAT(text, HasSubstr("graphics mode"));
  EXPECT_EQ(painter.paint(picture), "");
  picture = blank(3, 8);
  EXPECT_THAT(painter.paint(picture), Not(HasSubstr("graphics mode")));
}

}  // namespace
}  // namespace ringside::screen
