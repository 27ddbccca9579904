#include "debug/memory/pattern.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace ringside::debug {
namespace {

using Bytes = std::vector<std::byte>;

const std::byte* plain_search(const Bytes& memory, const Bytes& pattern) {
  const auto at = std::search(memory.begin(), memory.end(), pattern.begin(), pattern.end());
  return at == memory.end() ? nullptr : &*at;
}

// Few different bytes, so that there are many near misses.
Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  for (std::byte& b : bytes)
    b = static_cast<std::byte>(*rc::gen::inRange(0, 3));
  return bytes;
}

TEST(Pattern, FindsWhatAPlainSearchFinds) {
  EXPECT_TRUE(rc::check([] {
    const Bytes memory = random_bytes(*rc::gen::inRange<std::size_t>(0, 400));
    const Bytes pattern = random_bytes(*rc::gen::inRange<std::size_t>(1, 12));
    RC_ASSERT(Pattern(pattern).find(memory) == plain_search(memory, pattern));
  }));
}

TEST(Pattern, IsFoundAtEveryPlaceOfABlock) {
  const Bytes bytes = {std::byte{0}, std::byte{7}, std::byte{0}, std::byte{9}, std::byte{0}};
  const Pattern pattern(bytes);
  for (std::size_t at = 0; at <= 395; ++at) {
    Bytes memory(400);
    std::copy(bytes.begin(), bytes.end(), memory.begin() + static_cast<std::ptrdiff_t>(at));
    ASSERT_EQ(pattern.find(memory), memory.data() + at);
  }
}

TEST(Pattern, ManyFalseAlarmsEndInTheLibrary) {
  Bytes memory(1 << 20, std::byte{1});
  Bytes bytes(1000, std::byte{1});
  bytes[500] = std::byte{0};  // common, so not looked for
  const Pattern pattern(bytes);
  EXPECT_EQ(pattern.find(memory), nullptr);
  memory[900'000] = std::byte{0};
  EXPECT_EQ(pattern.find(memory), memory.data() + 899'500);
}

TEST(Pattern, OneByteAndZeros) {
  EXPECT_EQ(Pattern(Bytes(8)).find(Bytes(7)), nullptr);
  const Bytes zeros(200);
  EXPECT_EQ(Pattern(Bytes(8)).find(zeros), zeros.data());
  Bytes memory(200);
  memory[150] = std::byte{5};
  EXPECT_EQ(Pattern({std::byte{5}}).find(memory), memory.data() + 150);
}

}  // namespace
}  // namespace ringside::debug
