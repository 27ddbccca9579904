#include "screen/picture.h"

#include <algorithm>
#include <cstring>

#include "screen/code_page.h"

namespace ringside::screen {

using machine::TextScreen;

Picture picture_of(const TextScreen& screen, std::span<const std::byte> memory) {
  Picture picture;
  picture.is_text = screen.is_text;
  if (!screen.is_text) return picture;
  picture.rows = screen.rows;
  picture.columns = screen.columns;
  picture.cells.resize(std::size_t{screen.rows} * screen.columns);
  for (unsigned row = 0; row < screen.rows; ++row) {
    for (unsigned column = 0; column < screen.columns; ++column) {
      const unsigned cell = (screen.start + row * screen.pitch + column) % TextScreen::kCells;
      std::memcpy(&picture.cells[std::size_t{row} * screen.columns + column],
                  memory.data() + 2 * std::size_t{cell}, 2);
    }
  }
  const unsigned ahead = (screen.cursor - screen.start) % TextScreen::kCells;
  if (!screen.has_cursor || screen.pitch == 0) return picture;
  const Place cursor{ahead / screen.pitch, ahead % screen.pitch};
  if (cursor.row < screen.rows && cursor.column < screen.columns) picture.cursor = cursor;
  return picture;
}

Picture part_of(const Picture& picture, unsigned rows, unsigned columns) {
  if (picture.rows <= rows && picture.columns <= columns) return picture;
  Picture part{
      picture.is_text, std::min(rows, picture.rows), std::min(columns, picture.columns), {}, {}};
  const unsigned end = std::max(part.rows, picture.cursor ? picture.cursor->row + 1 : 0);
  const unsigned first = end - part.rows;
  for (unsigned row = first; row < end; ++row) {
    const auto from =
        picture.cells.begin() + static_cast<std::ptrdiff_t>(std::size_t{row} * picture.columns);
    part.cells.insert(part.cells.end(), from, from + static_cast<std::ptrdiff_t>(part.columns));
  }
  if (picture.cursor && part.rows > 0 && picture.cursor->column < part.columns)
    part.cursor = Place{picture.cursor->row - first, picture.cursor->column};
  return part;
}

std::string text_of(const Picture& picture) {
  std::string text;
  for (unsigned row = 0; row < picture.rows; ++row) {
    std::string line;
    std::size_t end = 0;  // of what is no blank
    for (unsigned column = 0; column < picture.columns; ++column) {
      const std::uint16_t cell = picture.cells[std::size_t{row} * picture.columns + column];
      const std::string_view character = utf8_of(static_cast<std::uint8_t>(cell));
      line += character;
      if (character != " ") end = line.size();
    }
    text += line.substr(0, end) + '\n';
  }
  return text;
}

}  // namespace ringside::screen
