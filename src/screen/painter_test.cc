#include "screen/painter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <map>
#include <string>
#include <string_view>

namespace ringside::screen {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As much of a terminal as the painter uses, with rows of a fixed size.
class Terminal {
 public:
  static constexpr unsigned kColumns = 20;

  void take(std::string_view text) {
    while (!text.empty()) {
      if (text[0] != '\x1b') {
        put(text.substr(0, length_of_character(text[0])));
        text.remove_prefix(length_of_character(text[0]));
        continue;
      }
      text.remove_prefix(1);
      if (text[0] == '7' || text[0] == '8') {
        (text[0] == '7' ? kept_ : at) = text[0] == '7' ? at : kept_;
        text.remove_prefix(1);
        continue;
      }
      ASSERT_EQ(text[0], '[');
      const std::size_t end = text.find_first_not_of("[0123456789;");
      control(text.substr(1, end - 1), text[end]);
      text.remove_prefix(end + 1);
    }
  }
  std::string row(unsigned number) const {
    std::string text;
    for (unsigned column = 0; column < kColumns; ++column) {
      const auto cell = cells.find({number, column});
      text += cell == cells.end() ? "." : cell->second.first;
    }
    return text;
  }
  std::string look(unsigned row, unsigned column) const { return cells.at({row, column}).second; }

  std::map<std::pair<unsigned, unsigned>, std::pair<std::string, std::string>> cells;
  std::pair<unsigned, unsigned> at;  // row, column
  unsigned scrolls_from = 0;
  unsigned written = 0;

 private:
  static std::size_t length_of_character(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : 3;
  }
  void put(std::string_view character) {
    cells[at] = {std::string(character), look_};
    ++at.second;
    ++written;
  }
  void control(std::string_view parameters, char final) {
    unsigned numbers[2] = {1, 1};
    const char* next = parameters.data();
    const char* const end = next + parameters.size();
    for (unsigned& number : numbers) {
      next = std::from_chars(next, end, number).ptr;
      if (next < end) ++next;
    }
    if (final == 'H') at = {numbers[0] - 1, numbers[1] - 1};
    if (final == 'J') cells.clear();
    if (final == 'm') look_ = parameters;
    if (final == 'r') {
      scrolls_from = numbers[0] - 1;
      at = {0, 0};
    }
  }

  std::pair<unsigned, unsigned> kept_;
  std::string look_;
};

Picture blank(unsigned rows, unsigned columns) {
  return {true, rows, columns, std::vector<std::uint16_t>(std::size_t{rows} * columns, 0x0720), {}};
}

struct PainterTest : ::testing::Test {
  Terminal terminal;
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
