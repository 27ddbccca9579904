// Which pages of RAM have been told to who keeps their past (hypervisor::PageKeeper), in the
// present interval. Owned by the Board; single thread.
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
  KeptPages(const hypervisor::GuestRam& ram, hypervisor::PageKeeper& keeper) : keeper_(keeper) {
    std::uint64_t end = 0;
    for (const hypervisor::RamSlot& slot : ram.slots())
      end = std::max(end, slot.base.value + slot.size);
    is_kept_.resize(end >> 12);
  }

  bool has(Gpa page) const {
    const std::uint64_t number = page.value >> 12;
    return number < is_kept_.size() && is_kept_[number];
  }
  // The range lies within one slot, or nothing of it is RAM.
  void about_to_change(const hypervisor::GuestRam& ram, Gpa address, std::uint64_t size) {
    if (size == 0) return;
    const std::uint64_t last = (address.value + size - 1) >> 12;
    for (std::uint64_t number = address.value >> 12; number <= last; ++number) {
      if (number >= is_kept_.size() || is_kept_[number]) continue;
      const Gpa page{number << 12};
      const std::uint8_t* content = ram.host(page, kPageSize);
      if (content == nullptr) continue;
      is_kept_[number] = true;
      kept_.push_back(number);
      keeper_.keep(page, content);
    }
  }
  void begin_interval() {
    for (const std::uint64_t number : kept_)
      is_kept_[number] = false;
    kept_.clear();
  }

 private:
  hypervisor::PageKeeper& keeper_;
  std::vector<bool> is_kept_;        // by page number
  std::vector<std::uint64_t> kept_;  // their numbers
};

}  // namespace ringside::soft
