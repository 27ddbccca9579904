// What a text card shows at one moment: copied out of the guest's memory, so that it can be
// compared and drawn while the guest goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "machine/display/text_card.h"

namespace ringside::screen {

struct Place {
  unsigned row = 0, column = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

struct Picture {
  bool is_text = true;  // else the card is in a graphics mode, and there are no cells
  unsigned rows = 0, columns = 0;
  // Row by row; the character (code page 437) is in the low byte, its colours in the high one.
  std::vector<std::uint16_t> cells;
  std::optional<Place> cursor;
  friend bool operator==(const Picture&, const Picture&) = default;
};

// `memory` is all of the card's: machine::TextCard::kMemorySize bytes, which the guest's CPUs may
// be changing.
Picture picture_of(const machine::TextScreen& screen, std::span<const std::byte> memory);

// What fits into so many rows and columns: the left of it, down to the cursor's row if that is
// further down than the rows reach.
Picture part_of(const Picture& picture, unsigned rows, unsigned columns);

// The characters alone, a line for each row, without the blanks at its end.
std::string text_of(const Picture& picture);

}  // namespace ringside::screen
