// Code page 437, as the character generator of a PC's text card has it.
#pragma once

#include <cstdint>
#include <string_view>

namespace ringside::screen {

// UTF-8. What the card shows for control characters are pictures too; 0 and 255 are blank.
std::string_view utf8_of(std::uint8_t character);

}  // namespace ringside::screen
