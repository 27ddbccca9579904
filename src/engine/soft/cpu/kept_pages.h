// Which pages of RAM have been told to those who keep their past (hypervisor::PageKeeper), to each
// in its present interval. Owned by the Board; single thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "platform/guest_ram.h"
#include "platform/rewindable.h"
#include "ringside/types.h"

namespace ringside::soft {

class KeptPages {
 public:
  explicit KeptPages(const hypervisor::GuestRam& ram) {
    std::uint64_t end = 0;
    for (const hypervisor::RamSlot& slot : ram.slots())
      end = std::max(end, slot.base.value + slot.size);
    pages_ = end >> 12;
  }

  void add(hypervisor::PageKeeper& keeper) {
    listeners_.push_back({&keeper, std::vector<bool>(pages_), {}});
  }
  void remove(hypervisor::PageKeeper& keeper) {
    std::erase_if(listeners_, [&](const Listener& one) { return one.keeper == &keeper; });
  }
  bool empty() const { return listeners_.empty(); }

  // Nobody has to be told of it any more.
  bool has(Gpa page) const {
    const std::uint64_t number = page.value >> 12;
    if (number >= pages_) return false;
    return std::all_of(listeners_.begin(), listeners_.end(),
                       [&](const Listener& one) { return one.is_told[number]; });
  }
  // The range lies within one slot, or nothing of it is RAM.
  void about_to_change(const hypervisor::GuestRam& ram, Gpa address, std::uint64_t size) {
    if (size == 0) return;
    const std::uint64_t last = (address.value + size - 1) >> 12;
    for (std::uint64_t number = address.value >> 12; number <= last; ++number) {
      const Gpa page{number << 12};
      if (number >= pages_ || has(page)) continue;
      const std::uint8_t* content = ram.host(page, kPageSize);
      if (content == nullptr) continue;
      for (Listener& one : listeners_)
        tell(one, page, content);
    }
  }
  void begin_interval(hypervisor::PageKeeper& keeper) {
    for (Listener& one : listeners_) {
      if (one.keeper != &keeper) continue;
      for (const std::uint64_t number : one.told)
        one.is_told[number] = false;
      one.told.clear();
    }
  }

 private:
  struct Listener {
    hypervisor::PageKeeper* keeper;
    std::vector<bool> is_told;        // by page number
    std::vector<std::uint64_t> told;  // their numbers
  };

  static void tell(Listener& listener, Gpa page, const std::uint8_t* content) {
    const std::uint64_t number = page.value >> 12;
    if (listener.is_told[number]) return;
    listener.is_told[number] = true;
    listener.told.push_back(number);
    listener.keeper->keep(page, content);
  }

  std::uint64_t pages_ = 0;
  std::vector<Listener> listeners_;
};

}  // namespace ringside::soft
