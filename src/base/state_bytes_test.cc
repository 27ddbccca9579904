#include "base/state_bytes.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace ringside {
namespace {

template <typename... T>
std::vector<std::byte> save(T... values) {
  StateSaver saver;
  saver.fields(values...);
  return saver.saved;
}

TEST(StateBytes, WhatWasSavedIsLoaded) {
  StateSaver saver;
  std::deque<std::uint16_t> items{1, 2, 3};
  bool yes = true;
  saver.container(items);
  saver.field(yes);
  StateLoader loader(saver.saved);
  std::deque<std::uint16_t> loaded{9};
  bool truth = false;
  loader.container(loaded);
  loader.field(truth);
  EXPECT_TRUE(loader.finished());
  EXPECT_EQ(loaded, items);
  EXPECT_TRUE(truth);
}

TEST(StateBytes, TooLittleAndTooMuchAreNoState) {
  const std::vector<std::byte> saved = save(std::uint32_t{7});
  std::uint64_t large = 1;
  StateLoader lacks(saved);
  lacks.field(large);
  EXPECT_FALSE(lacks.finished());
  EXPECT_EQ(large, 1u);
  std::uint16_t small = 0;
  StateLoader rest(saved);
  rest.field(small);
  EXPECT_FALSE(rest.finished());
}

// A count of a file that is made up takes no memory.
TEST(StateBytes, ACountIsNotBelieved) {
  const std::vector<std::byte> saved =
      save(std::uint64_t{1} << 60, std::uint64_t{1}, std::uint64_t{2});
  StateLoader loader(saved);
  std::vector<std::uint64_t> items;
  loader.container(items);
  EXPECT_FALSE(loader.finished());
  EXPECT_LE(items.size(), 2u);
}

TEST(StateBytes, WhatMakesNoSenseIsRefused) {
  const std::vector<std::byte> saved = save(std::uint8_t{2});
  StateLoader loader(saved);
  bool truth = false;
  loader.field(truth);
  EXPECT_FALSE(loader.finished());
  StateLoader other(saved);
  std::uint8_t number = 0;
  other.field(number);
  other.expect(number == 2);
  EXPECT_TRUE(other.finished());
  other.expect(number == 3);
  EXPECT_FALSE(other.finished());
}

}  // namespace
}  // namespace ringside
