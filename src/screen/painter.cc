#include "screen/painter.h"

#include <fmt/format.h>

#include <algorithm>
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
// Rows of the terminal that the picture leaves to messages, at least.
constexpr unsigned kForMessages = 2;
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
  // A row is left out where two more are left: a terminal scrolls no single one (VT100 User
  // Guide, DECSTBM).
  const unsigned below = picture.is_text ? picture.rows : 1;
  const bool has_gap = !terminal_ || below + 2 < terminal_->rows;
  const unsigned scrolls = below + (has_gap ? 1 : 0);
  return fmt::format("{}\x1b[2J\x1b[{}r{}{}{}", kUsualColours, scrolls + 1, go_to(0, 0),
                     picture.is_text ? "" : kGraphics, go_to(scrolls, 0));
}

std::string Painter::paint(const Picture& whole, std::optional<TerminalSize> terminal) {
  const Picture picture =
      terminal
          ? part_of(whole, std::max(terminal->rows, kForMessages) - kForMessages, terminal->columns)
          : whole;
  if (shown_ == picture && terminal_ == terminal) return {};
  std::string text;
  if (std::exchange(terminal_, terminal) != terminal) shown_.reset();
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
  return std::exchange(shown_, std::nullopt) ? std::string(kGiveBack) : std::string();
}

}  // namespace ringside::screen
