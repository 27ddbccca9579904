#include "debug/memory/pattern.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace ringside::debug {
namespace {

constexpr std::size_t kBlock = 64;

// Bytes that memory is full of are no good to look for.
unsigned commonness(std::byte byte) {
  const auto value = std::to_integer<unsigned>(byte);
  if (value == 0) return 4;
  if (value == 0xff) return 3;
  const bool in_code = value == 0x48 || value == 0x0f || value == 0x89 || value == 0x8b;
  const bool in_text = value == ' ' || value == 'e' || value == 't' || value == 'a';
  return in_code || in_text || value < 8 || value == 0xcc || value == 0x90 ? 2 : 1;
}

}  // namespace

Pattern::Pattern(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {
  std::vector<std::size_t> positions(bytes_.size());
  std::iota(positions.begin(), positions.end(), std::size_t{0});
  std::stable_sort(positions.begin(), positions.end(), [this](std::size_t a, std::size_t b) {
    return commonness(bytes_[a]) < commonness(bytes_[b]);
  });
  rarest_ = positions[0];
  second_ = positions[std::min<std::size_t>(1, positions.size() - 1)];
}

// Without a branch inside, so that the compiler makes vector code of it.
bool Pattern::may_begin_in_block(const std::byte* block) const {
  const std::byte* const p = block + rarest_;
  const std::byte* const q = block + second_;
  const std::byte rarest = bytes_[rarest_], second = bytes_[second_];
  unsigned char any = 0;
  for (std::size_t i = 0; i < kBlock; ++i)
    any |= static_cast<unsigned char>((p[i] == rarest) & (q[i] == second));
  return any != 0;
}

const std::byte* Pattern::find_by_library(std::span<const std::byte> memory) const {
  if (memory.size() < bytes_.size()) return nullptr;  // and of no bytes there is no address
  return static_cast<const std::byte*>(
      ::memmem(memory.data(), memory.size(), bytes_.data(), bytes_.size()));
}

const std::byte* Pattern::find(std::span<const std::byte> memory) const {
  const std::size_t window = kBlock + bytes_.size() - 1;
  // What false alarms may cost before the library, which is slower but never bad, takes over.
  std::size_t patience = 1u << 16;
  std::size_t offset = 0;
  for (; offset + window <= memory.size(); offset += kBlock) {
    if (!may_begin_in_block(memory.data() + offset)) continue;
    if (const std::byte* found = find_by_library(memory.subspan(offset, window))) return found;
    if (patience < window) break;
    patience -= window;
  }
  return find_by_library(memory.subspan(offset));
}

}  // namespace ringside::debug
