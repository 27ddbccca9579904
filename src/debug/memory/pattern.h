// A pattern of bytes to be found in memory. Immutable; pure.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ringside::debug {

class Pattern {
 public:
  // Not empty.
  explicit Pattern(std::vector<std::byte> bytes);

  std::size_t size() const { return bytes_.size(); }
  // Its first occurrence, or null. As fast as memory can be read where its two rarest bytes seldom
  // stand in their distance, and linear in any case.
  const std::byte* find(std::span<const std::byte> memory) const;

 private:
  bool may_begin_in_block(const std::byte* block) const;
  const std::byte* find_by_library(std::span<const std::byte> memory) const;

  std::vector<std::byte> bytes_;
  std::size_t rarest_ = 0, second_ = 0;  // positions
};

}  // namespace ringside::debug
