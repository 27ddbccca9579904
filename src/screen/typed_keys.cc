#include "screen/typed_keys.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ringside::screen {
namespace {

constexpr std::uint8_t kReleased = 0x80, kPrefix = 0xe0;
constexpr std::uint8_t kEscape = 0x01, kBackspace = 0x0e, kTab = 0x0f, kEnter = 0x1c,
                       kControl = 0x1d, kLeftShift = 0x2a, kAlt = 0x38, kSpace = 0x39;

struct Key {
  std::uint8_t code = 0;
  bool prefixed = false;  // of the keys that a PC/XT had not: 0xe0 goes before them
  bool shift = false, control = false, alt = false;
};

// The rows of the keyboard from left to right, without shift and with it, and their first codes.
struct Row {
  std::string_view plain, shifted;
  std::uint8_t first;
};
constexpr std::array<Row, 5> kRows = {{
    {"1234567890-=", "!@#$%^&*()_+", 0x02},
    {"qwertyuiop[]", "QWERTYUIOP{}", 0x10},
    {"asdfghjkl;'`", "ASDFGHJKL:\"~", 0x1e},
    {"\\zxcvbnm,./", "|ZXCVBNM<>?", 0x2b},
    {" ", "", kSpace},
}};

std::optional<Key> key_of_printed(char character) {
  for (const Row& row : kRows) {
    for (const bool shift : {false, true}) {
      const std::size_t at = (shift ? row.shifted : row.plain).find(character);
      if (at == std::string_view::npos) continue;
      return Key{static_cast<std::uint8_t>(row.first + at), false, shift};
    }
  }
  return std::nullopt;
}

std::optional<Key> key_of(char character) {
  switch (character) {
    case '\r':
    case '\n':
      return Key{kEnter};
    case '\t':
      return Key{kTab};
    case '\x7f':
    case '\b':
      return Key{kBackspace};
    case '\x1b':
      return Key{kEscape};
    default:
      break;
  }
  if (static_cast<unsigned char>(character) >= 0x20) return key_of_printed(character);
  // Control characters are 0x40 less than what is typed with Ctrl (ECMA-48 5.2).
  const char held = static_cast<char>(character + 0x40);
  std::optional<Key> key =
      key_of_printed(held >= 'A' && held <= 'Z' ? static_cast<char>(held + 0x20) : held);
  if (key) key->control = true;
  return key;
}

// The final characters of sequences for keys, and the numbers of those that end in a tilde.
std::optional<Key> key_of_final(char final) {
  switch (final) {
    case 'A':
      return Key{0x48, true};
    case 'B':
      return Key{0x50, true};
    case 'C':
      return Key{0x4d, true};
    case 'D':
      return Key{0x4b, true};
    case 'H':
      return Key{0x47, true};
    case 'F':
      return Key{0x4f, true};
    case 'Z':
      return Key{kTab, false, true};
    case 'P':
    case 'Q':
    case 'R':
    case 'S':
      return Key{static_cast<std::uint8_t>(0x3b + (final - 'P'))};
    default:
      return std::nullopt;
  }
}

std::optional<Key> key_of_number(unsigned number) {
  struct Numbered {
    unsigned number;
    Key key;
  };
  static constexpr std::array<Numbered, 20> kKeys = {{
      {1, {0x47, true}}, {2, {0x52, true}}, {3, {0x53, true}}, {4, {0x4f, true}}, {5, {0x49, true}},
      {6, {0x51, true}}, {7, {0x47, true}}, {8, {0x4f, true}}, {11, {0x3b}},      {12, {0x3c}},
      {13, {0x3d}},      {14, {0x3e}},      {15, {0x3f}},      {17, {0x40}},      {18, {0x41}},
      {19, {0x42}},      {20, {0x43}},      {21, {0x44}},      {23, {0x57}},      {24, {0x58}},
  }};
  for (const Numbered& key : kKeys) {
    if (key.number == number) return key.key;
  }
  return std::nullopt;
}

// xterm's parameter for keys that are held: 1 more than a sum of 1 for Shift, 2 for Alt, 4 for
// Ctrl.
void hold(Key& key, unsigned parameter) {
  if (parameter < 2 || parameter > 8) return;
  key.shift |= ((parameter - 1) & 1) != 0;
  key.alt |= ((parameter - 1) & 2) != 0;
  key.control |= ((parameter - 1) & 4) != 0;
}

// A control sequence whose parameters begin at text[0]: takes it from `text`.
std::optional<Key> take_sequence(std::string_view& text) {
  std::array<unsigned, 2> numbers{};
  std::size_t count = 0, at = 0;
  for (; at < text.size() && text[at] >= 0x20 && text[at] < 0x40; ++at) {
    if (text[at] == ';') {
      ++count;
    } else if (text[at] >= '0' && text[at] <= '9' && count < numbers.size()) {
      numbers[count] = (numbers[count] * 10 + static_cast<unsigned>(text[at] - '0')) % 1000;
    }
  }
  if (at == text.size()) {
    text = {};
    return std::nullopt;
  }
  const char final = text[at];
  text.remove_prefix(at + 1);
  std::optional<Key> key = final == '~' ? key_of_number(numbers[0]) : key_of_final(final);
  if (key) hold(*key, numbers[1]);
  return key;
}

// Takes the next key, or what is none, from `text`.
std::optional<Key> take_key(std::string_view& text) {
  const char first = text.front();
  text.remove_prefix(1);
  if (first != '\x1b' || text.empty()) return key_of(first);
  const char second = text.front();
  text.remove_prefix(1);
  if (second == '[') {
    if (text.empty()) return Key{0x1a, false, false, false, true};
    return take_sequence(text);
  }
  if (second == 'O' && !text.empty()) {
    const char final = text.front();
    text.remove_prefix(1);
    return key_of_final(final);
  }
  std::optional<Key> key = key_of(second);
  if (key) key->alt = true;
  return key;
}

void press(const Key& key, std::vector<std::byte>& codes) {
  const auto put = [&codes](std::uint8_t code) { codes.push_back(std::byte{code}); };
  const std::array<std::pair<bool, std::uint8_t>, 3> held = {
      {{key.control, kControl}, {key.alt, kAlt}, {key.shift, kLeftShift}}};
  for (const auto& [is_held, code] : held) {
    if (is_held) put(code);
  }
  for (const std::uint8_t up : {std::uint8_t{0}, kReleased}) {
    if (key.prefixed) put(kPrefix);
    put(static_cast<std::uint8_t>(key.code | up));
  }
  for (std::size_t i = held.size(); i-- > 0;) {
    if (held[i].first) put(static_cast<std::uint8_t>(held[i].second | kReleased));
  }
}

}  // namespace

std::vector<std::byte> scan_codes_of(std::span<const std::byte> typed) {
  std::vector<std::byte> codes;
  std::string_view text(reinterpret_cast<const char*>(typed.data()), typed.size());
  while (!text.empty()) {
    if (const std::optional<Key> key = take_key(text)) press(*key, codes);
  }
  return codes;
}

}  // namespace ringside::screen
