#include "screen/painter.h"

#include <fmt/format.h>

#include <utility>

#include "screen/code_page.h"

namespace ringside::screen {
namespace {

constexpr std::string_view kKeepCursor =
                               "\x1b"
                               "7",
                           kCursorBack =
                               "\x1b"
                               "8";
constexpr std::string_view kUsualColours = "\x1b[0m";
constexpr std::string_view kGraphics = "(the guest's screen is in a graphics mode)";

std::string go_to(unsigned row, unsigned column) {
  return fmt::format("\x1b[{};{}H", row + 1, column + 1);
}

// The card's colours are blue, green and red in bits 0 to 2, the terminal's red, green and blue.
unsigned terminal_colour(unsigned colour) {
  return (colour & 1) << 2 | (colour & 2) | (colour & 4) >> 2;
}

// Bit 7 of a cell's colours makes it blink, as text modes are set up.
std::string select_colours(std::uint8_t colours, bool reversed) {
  const unsigned front = terminal_colour(colours & 7) + ((colours & 8) != 0 ? 90 : 30);
  const unsigned back = terminal_colour(colours >> 4 & 7) + 40;
  return fmt::format("\x1b[0;{};{}{}{}m", front, back, (colours & 0x80) != 0 ? ";5" : "",
                     reversed ? ";7" : "");
}

}  // namespace

// An empty terminal, of which only what is below the picture scrolls; the cursor goes there.
std::string Painter::begin(const Picture& picture) {
  shown_ = Picture{picture.is_text, picture.rows, picture.columns, {}, {}};
  const unsigned rows = picture.is_text ? picture.rows : 1;
  return fmt::format("{}\x1b[2J\x1b[{}r{}{}{}", kUsualColours, rows + 2, go_to(0, 0),
                     picture.is_text ? "" : kGraphics, go_to(rows + 1, 0));
}

std::string Painter::paint(const Picture& picture) {
  if (shown_ == picture) return {};
  std::string text;
  if (!shown_ || shown_->is_text != picture.is_text || shown_->rows != picture.rows ||
      shown_->columns != picture.columns)
    text = begin(picture);
  text += kKeepCursor;
  std::optional<std::pair<std::uint8_t, bool>> selected;
  bool adjacent = false;  // the terminal's cursor is where the next cell goes
  for (unsigned row = 0; row < picture.rows; ++row) {
    adjacent = false;
    for (unsigned column = 0; column < picture.columns; ++column) {
      const std::size_t at = std::size_t{row} * picture.columns + column;
      const std::optional<Place> here = Place{row, column};
      const bool is_cursor = picture.cursor == here;
      const bool same = !shown_->cells.empty() && shown_->cells[at] == picture.cells[at] &&
                        is_cursor == (shown_->cursor == here);
      if (same) {
        adjacent = false;
        continue;
      }
      if (!std::exchange(adjacent, true)) text += go_to(row, column);
      const std::pair look(static_cast<std::uint8_t>(picture.cells[at] >> 8), is_cursor);
      if (selected != look) text += select_colours(look.first, look.second);
      selected = look;
      text += utf8_of(static_cast<std::uint8_t>(picture.cells[at]));
    }
  }
  text += kUsualColours;
  text += kCursorBack;
  shown_ = picture;
  return text;
}

std::string Painter::leave() {
  if (!std::exchange(shown_, std::nullopt)) return {};
  // To give the whole terminal to what scrolls moves its cursor.
  return fmt::format("{}{}\x1b[r{}", kUsualColours, kKeepCursor, kCursorBack);
}

}  // namespace ringside::screen
