// As much of a terminal as the painter uses, with rows of a fixed size and as many as are written
// to.
#pragma once

#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace ringside::screen::testing {

class Terminal {
 public:
  explicit Terminal(unsigned columns) : columns_(columns) {}

  // Text may come in pieces: a sequence that is cut waits for its end.
  void take(std::string_view text) {
    waiting_ += text;
    std::size_t used = 0;
    while (const std::size_t size = take_one(std::string_view(waiting_).substr(used)))
      used += size;
    waiting_.erase(0, used);
  }
  // A cell that nothing was written to is a dot.
  std::string row(unsigned number) const {
    std::string text;
    for (unsigned column = 0; column < columns_; ++column) {
      const auto cell = cells.find({number, column});
      text += cell == cells.end() ? "." : cell->second.first;
    }
    return text;
  }
  std::string look(unsigned row, unsigned column) const { return cells.at({row, column}).second; }

  std::map<std::pair<unsigned, unsigned>, std::pair<std::string, std::string>> cells;
  std::pair<unsigned, unsigned> at;  // row, column
  unsigned scrolls_from = 0;
  unsigned written = 0;

 private:
  // How much of the text was a character or a control sequence; none where it is cut.
  std::size_t take_one(std::string_view text) {
    if (text.empty()) return 0;
    if (text[0] == '\r' || text[0] == '\n') {
      at = text[0] == '\r' ? std::pair(at.first, 0u) : std::pair(at.first + 1, at.second);
      return 1;
    }
    if (text[0] != '\x1b') {
      const std::size_t size = length_of_character(text[0]);
      if (text.size() < size) return 0;
      put(text.substr(0, size));
      return size;
    }
    if (text.size() < 2) return 0;
    if (text[1] == '7') kept_ = at;
    if (text[1] == '8') at = kept_;
    if (text[1] != '[') return 2;
    const std::size_t end = text.find_first_not_of("0123456789;", 2);
    if (end == std::string_view::npos) return 0;
    control(text.substr(2, end - 2), text[end]);
    return end + 1;
  }
  static std::size_t length_of_character(char first) {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : 3;
  }
  void put(std::string_view character) {
    cells[at] = {std::string(character), look_};
    ++at.second;
    ++written;
  }
  void control(std::string_view parameters, char final) {
    unsigned numbers[2] = {1, 1};
    const char* next = parameters.data();
    const char* const end = next + parameters.size();
    for (unsigned& number : numbers) {
      next = std::from_chars(next, end, number).ptr;
      if (next < end) ++next;
    }
    if (final == 'H') at = {numbers[0] - 1, numbers[1] - 1};
    if (final == 'J') cells.clear();
    if (final == 'm') look_ = parameters;
    if (final == 'r') {
      scrolls_from = numbers[0] - 1;
      at = {0, 0};
    }
  }

  const unsigned columns_;
  std::string waiting_;  // for the rest of a sequence
  std::pair<unsigned, unsigned> kept_;
  std::string look_;
};

}  // namespace ringside::screen::testing
