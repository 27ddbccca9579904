// The word that somebody meant who typed another one.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace ringside {

// The one of `words` that takes the fewest changes of a character (one put in, taken out or
// replaced, two neighbours exchanged) to become `typed`, the first of several; nothing where that
// would be another word altogether: more than a third of its characters. Letters' case is ignored.
std::optional<std::string_view> nearest_word(std::string_view typed,
                                             std::span<const std::string_view> words);

}  // namespace ringside
