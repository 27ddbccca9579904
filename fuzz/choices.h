// What the targets share that build something nearly right: an input is a row of choices, read one
// after the other, each in a statement of its own: compilers differ in the order of arguments. For
// the targets alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "check.h"

namespace ringside::fuzz {

// Once the input is at its end every number is 0, so that all inputs have an end.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool is_over() const { return rest_.empty(); }
  // One of 0 to count - 1, of a byte: count is at most 256.
  unsigned below(unsigned count) { return number<std::uint8_t>() % count; }
  bool once_in(unsigned count) { return below(count) == count - 1; }
  template <typename T>
  T number() {
    static_assert(std::is_unsigned_v<T>);
    T value = 0;
    const std::size_t size = std::min(sizeof value, rest_.size());
    if (size != 0) std::memcpy(&value, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return value;
  }
  template <typename T, std::size_t kCount>
  const T& one_of(const T (&all)[kCount]) {
    return all[below(kCount)];
  }
  // A number where parsers go wrong: an edge of `near` or of its type, or any.
  template <typename T>
  T odd(T near) {
    const T edges[] = {near,
                       static_cast<T>(near + 1),
                       static_cast<T>(near - 1),
                       T{0},
                       T{1},
                       static_cast<T>(~T{0}),
                       static_cast<T>(~T{0} - near),
                       static_cast<T>(~T{0} >> 1),
                       static_cast<T>(near << 1)};
    const unsigned which = below(std::size(edges) + 1);
    return which == std::size(edges) ? number<T>() : edges[which];
  }
  // `right`, and once in a while something odd instead.
  template <typename T>
  T mostly(T right) {
    return once_in(8) ? odd(right) : right;
  }
  // So many bytes of the input, or what is left of it.
  std::span<const std::uint8_t> bytes(std::size_t count) {
    const auto taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::string_view text(std::size_t count) {
    const auto taken = bytes(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  std::span<const std::uint8_t> rest() { return bytes(rest_.size()); }

 private:
  std::span<const std::uint8_t> rest_;
};

// What a user reads: one line, without what a terminal would obey, and not too long for one. What
// it quotes of the input is up to `quoted` bytes.
inline void check_sentence(std::string_view text, std::size_t quoted = 0) {
  constexpr std::size_t kLongest = 500;
  check(!text.empty() && text.size() <= kLongest + quoted);
  if (quoted != 0) return;
  for (const char c : text)
    check(c >= ' ' && c <= '~');
}

}  // namespace ringside::fuzz
