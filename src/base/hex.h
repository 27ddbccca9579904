// Hexadecimal as the GDB remote protocol writes it: lower case out, either case in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringside {

// 0..15, or -1 for a character that is not a hexadecimal digit.
constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_hex(std::string& out, std::span<const std::byte> bytes);
std::string to_hex(std::span<const std::byte> bytes);
std::string to_hex(std::string_view text);
// An even number of digits; nothing on a bad character or an odd length.
std::optional<std::vector<std::byte>> from_hex(std::string_view digits);
// 1 to 16 digits, the whole text; nothing otherwise.
std::optional<std::uint64_t> parse_hex(std::string_view digits);

}  // namespace ringside
