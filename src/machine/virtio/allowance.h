// What a device may do before others have their turn: so many bytes of data, or what takes about as
// long.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ringside::machine {

class Allowance {
 public:
  static constexpr std::uint32_t kBytes = 1 << 20;
  std::uint32_t left() const { return left_; }
  bool is_whole() const { return left_ == kBytes; }
  void spend(std::uint64_t bytes) {
    left_ -= static_cast<std::uint32_t>(std::min<std::uint64_t>(left_, bytes));
  }
  // For a request, or a buffer that is filled, whatever is in it: its chain has so many segments.
  void spend_chain(std::uint64_t segments) {
    constexpr std::uint64_t kChainCost = 4096, kSegmentCost = 64;
    spend(kChainCost + kSegmentCost * segments);
  }
  void spend_all() { left_ = 0; }

 private:
  std::uint32_t left_ = kBytes;
};

}  // namespace ringside::machine
