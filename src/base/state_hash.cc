#include "base/state_hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace ringside {
namespace {

// Odd, so that multiplying loses nothing: two inputs that differ in one word never meet in a step.
constexpr std::uint64_t kWord = 0x9e3779b97f4a7c15, kStep = 0xd1b54a32d192ed03;
constexpr std::size_t kLanes = 4;  // independent chains, so that a multiplication need not wait

std::uint64_t mix(std::uint64_t state, std::uint64_t word) {
  return std::rotl(state ^ (word * kWord), 29) * kStep;
}

std::uint64_t word_at(const std::byte* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

}  // namespace

void StateHasher::add(std::span<const std::byte> bytes) {
  length_ += bytes.size();
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  if (left >= kLanes * 8) {
    std::array<std::uint64_t, kLanes> lanes{state_, kWord, kStep, ~kWord};
    for (; left >= kLanes * 8; left -= kLanes * 8, at += kLanes * 8) {
      for (std::size_t i = 0; i < kLanes; ++i)
        lanes[i] = mix(lanes[i], word_at(at + 8 * i));
    }
    for (const std::uint64_t lane : lanes)
      state_ = mix(state_, lane);
  }
  for (; left >= 8; left -= 8, at += 8)
    state_ = mix(state_, word_at(at));
  if (left > 0) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, left);
    state_ = mix(state_, word);
  }
}

std::uint64_t StateHasher::value() const {
  std::uint64_t result = mix(state_, length_);
  result ^= result >> 32;
  result *= kStep;
  return result ^ (result >> 29);
}

}  // namespace ringside
