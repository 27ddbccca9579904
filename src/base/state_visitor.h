// How everything that is part of the machine's state shows its fields: one visitor serves saving,
// loading and hashing, so that the three can never disagree. Each stateful class has
// `void visit_state(StateVisitor&)`, which names its fields in a fixed order. Pointers, caches and
// anything derived stay out; a class with derived data rebuilds it when `loading()`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <type_traits>
#include <vector>

namespace ringside {

class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  virtual bool loading() const = 0;
  // Saves from, loads into, or hashes `bytes`.
  virtual void bytes(std::span<std::byte> bytes) = 0;

  // What is loaded may come from a file that somebody has made up. A class whose code relies on
  // something about its fields says so after them; where it does not hold, the loader refuses the
  // whole state, and nobody uses it.
  void expect(bool sensible) {
    if (loading() && !sensible) refuse();
  }
  virtual void refuse() {}
  // For who loads: how many bytes there still are.
  virtual std::uint64_t left() const { return 0; }

  // A value without pointers and without padding.
  template <typename T>
  void field(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = value ? 1 : 0;
      field(byte);
      expect(byte <= 1);
      if (loading()) value = byte != 0;
    } else {
      bytes(std::as_writable_bytes(std::span(&value, 1)));
    }
  }
  template <typename... T>
  void fields(T&... values) {
    (field(values), ...);
  }
  template <typename Container>
  void container(Container& items) {
    std::uint64_t count = items.size();
    field(count);
    if (loading()) {
      // However large the count, no more memory is taken than there is to fill it.
      const std::uint64_t most = left() / sizeof(typename Container::value_type);
      expect(count <= most);
      items.resize(std::min(count, most));
    }
    for (auto& item : items)
      field(item);
  }
};

}  // namespace ringside
