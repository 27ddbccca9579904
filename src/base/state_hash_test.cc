#include "base/state_hash.h"

#include <gtest/gtest.h>

#include <set>

namespace ringside {
namespace {

std::uint64_t hash_of(std::vector<std::byte> bytes) {
  StateHasher hasher;
  hasher.bytes(bytes);
  return hasher.value();
}

TEST(StateHash, EqualStatesGiveEqualFigures) {
  const std::vector<std::byte> bytes(100, std::byte{7});
  EXPECT_EQ(hash_of(bytes), hash_of(bytes));
}

TEST(StateHash, EveryBitCounts) {
  std::set<std::uint64_t> seen;
  for (const std::size_t size : {1u, 7u, 8u, 9u, 31u, 32u, 33u, 77u}) {
    std::vector<std::byte> bytes(size);
    EXPECT_TRUE(seen.insert(hash_of(bytes)).second) << size;
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_TRUE(seen.insert(hash_of(bytes)).second) << size << ' ' << bit;
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
}

TEST(StateHash, TheOrderCounts) {
  StateHasher first, second;
  std::uint32_t one = 1, two = 2;
  first.fields(one, two);
  second.fields(two, one);
  EXPECT_NE(first.value(), second.value());
}

}  // namespace
}  // namespace ringside
