// Words without the difference between capital and small letters. ASCII alone, whatever the locale.
#pragma once

#include <string>
#include <string_view>

namespace ringside {

inline std::string lower_case(std::string_view word) {
  std::string text(word);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace ringside
