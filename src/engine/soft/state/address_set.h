// A set of addresses that is asked page by page: the debugger's breakpoints, of which there may be
// tens of thousands, looked up whenever code is decoded. Plain data.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "ringside/types.h"

namespace ringside::soft {

class AddressSet {
 public:
  bool empty() const { return pages_.empty(); }
  void insert(std::uint64_t address) {
    std::vector<std::uint16_t>& offsets = pages_[address & kPageMask];
    const auto at = std::lower_bound(offsets.begin(), offsets.end(), offset(address));
    if (at == offsets.end() || *at != offset(address)) offsets.insert(at, offset(address));
  }
  void erase(std::uint64_t address) {
    const auto page = pages_.find(address & kPageMask);
    if (page == pages_.end()) return;
    std::vector<std::uint16_t>& offsets = page->second;
    const auto at = std::lower_bound(offsets.begin(), offsets.end(), offset(address));
    if (at != offsets.end() && *at == offset(address)) offsets.erase(at);
    if (offsets.empty()) pages_.erase(page);
  }
  // The offsets in the page of `address` that are in the set, ascending.
  std::span<const std::uint16_t> in_page(std::uint64_t address) const {
    if (pages_.empty()) return {};
    const auto page = pages_.find(address & kPageMask);
    if (page == pages_.end()) return {};
    return page->second;
  }
  bool contains(std::uint64_t address) const {
    const auto offsets = in_page(address);
    return std::binary_search(offsets.begin(), offsets.end(), offset(address));
  }

 private:
  static std::uint16_t offset(std::uint64_t address) {
    return static_cast<std::uint16_t>(address % kPageSize);
  }
  std::unordered_map<std::uint64_t, std::vector<std::uint16_t>> pages_;
};

}  // namespace ringside::soft
