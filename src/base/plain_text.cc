#include "base/plain_text.h"

#include <cstddef>
#include <cstdint>

namespace ringside {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// How many bytes the first character has; 0: it is a control character, or no UTF-8 at all.
std::size_t plain_character(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  // RFC 3629, 3: how many bytes the first one announces, and the least character that needs them.
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  std::uint32_t character = first & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const unsigned next = byte_at(text, i);
    if ((next & 0xc0) != 0x80) return 0;
    character = character << 6 | (next & 0x3f);
  }
  const bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
  const bool is_control = character < 0xa0;
  return character < kLeast[size] || character > 0x10ffff || is_surrogate || is_control ? 0 : size;
}

}  // namespace

bool is_plain_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = plain_character(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string plain_lines(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  while (!text.empty()) {
    const unsigned first = byte_at(text, 0);
    const std::size_t size = first == '\n' || first == '\t' ? 1 : plain_character(text);
    if (size != 0) {
      result += text.substr(0, size);
    } else {
      result += "\\x";
      result += kDigits[first >> 4];
      result += kDigits[first & 0xf];
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return result;
}

}  // namespace ringside
