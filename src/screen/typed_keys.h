// What is typed at a terminal, as keys of a PC keyboard with the US layout: a terminal sends
// characters and control sequences, a keyboard says which keys go down and up.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ringside::screen {

// Scan codes of set 1 for `typed`, each key pressed and released. The terminal's sequences for
// cursor, editing and function keys (ECMA-48, and xterm's) are those keys, an escape in front of a
// character is Alt, one at the end of `typed` the key itself. Other sequences, and characters
// beyond ASCII, are no keys, and are dropped.
std::vector<std::byte> scan_codes_of(std::span<const std::byte> typed);

}  // namespace ringside::screen
