// How everything that is part of the machine's state shows its fields: one visitor serves saving,
// loading and hashing, so that the three can never disagree. Each stateful class has
// `void visit_state(StateVisitor&)`, which names its fields in a fixed order. Pointers, caches and
// anything derived stay out; a class with derived data rebuilds it when `loading()`.
#pragma once

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

  // A value without pointers and without padding.
  template <typename T>
  void field(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes(std::as_writable_bytes(std::span(&value, 1)));
  }
  template <typename... T>
  void fields(T&... values) {
    (field(values), ...);
  }
  template <typename Container>
  void container(Container& items) {
    std::uint64_t count = items.size();
    field(count);
    if (loading()) items.resize(count);
    for (auto& item : items)
      field(item);
  }
};

}  // namespace ringside
