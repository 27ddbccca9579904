// The guest's memory copied, with the same holes and rights: for who does plainly, in a copy, what
// ours does. For the targets alone.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "platform/guest_ram.h"

namespace ringside::fuzz {

using Content = std::vector<std::byte>;

class PlainMemory {
 public:
  explicit PlainMemory(const hypervisor::GuestRam& ram) {
    for (const hypervisor::RamSlot& slot : ram.slots())
      slots_.push_back({slot, Content(slot.size)});
  }
  void take_over() {
    for (Slot& slot : slots_)
      std::memcpy(slot.content.data(), slot.of.host, slot.content.size());
  }
  void take_over(Gpa address, std::uint64_t size) {
    Slot& slot = *find(address, size);
    const std::size_t begin = address.value - slot.of.base.value;
    std::memcpy(&slot.content[begin], slot.of.host + begin, size);
  }
  bool is_same() const {
    for (const Slot& slot : slots_) {
      if (std::memcmp(slot.content.data(), slot.of.host, slot.content.size()) != 0) return false;
    }
    return true;
  }
  enum class For : std::uint8_t { Reading, Writing };
  std::byte* at(std::uint64_t address, std::uint64_t size, For what) {
    Slot* const slot = find({address}, size);
    if (slot == nullptr || (what == For::Writing && slot->of.read_only)) return nullptr;
    return slot->content.data() + (address - slot->of.base.value);
  }
  template <typename T>
  std::optional<T> get(std::uint64_t address) {
    const std::byte* from = at(address, sizeof(T), For::Reading);
    if (from == nullptr) return std::nullopt;
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  template <typename T>
  bool put(std::uint64_t address, T value) {
    std::byte* const to = at(address, sizeof(T), For::Writing);
    if (to != nullptr) std::memcpy(to, &value, sizeof value);
    return to != nullptr;
  }

 private:
  struct Slot {
    hypervisor::RamSlot of;
    Content content;
  };
  Slot* find(Gpa address, std::uint64_t size) {
    for (Slot& slot : slots_) {
      const std::uint64_t begin = slot.of.base.value, end = begin + slot.of.size;
      if (address.value >= begin && address.value < end && size <= end - address.value)
        return &slot;
    }
    return nullptr;
  }

  std::vector<Slot> slots_;
};

}  // namespace ringside::fuzz
