#include "platform/shared_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <thread>

namespace ringside::hypervisor {
namespace {

// Every place and length around two words: the bytes arrive, and no other is touched.
TEST(SharedCopy, MovesExactlyTheBytesAsked) {
  alignas(8) std::array<std::uint8_t, 40> shared;
  for (std::size_t at = 0; at < 16; ++at) {
    for (std::size_t size = 0; at + size <= 32; ++size) {
      std::iota(shared.begin(), shared.end(), std::uint8_t{1});
      std::array<std::byte, 32> own{};
      copy_from_shared(std::span(own).first(size), shared.data() + at);
      for (std::size_t i = 0; i < own.size(); ++i)
        ASSERT_EQ(own[i], std::byte(i < size ? at + i + 1 : 0)) << at << '+' << size;
      own.fill(std::byte{0xee});
      copy_to_shared(shared.data() + at, std::span(own).first(size));
      for (std::size_t i = 0; i < shared.size(); ++i)
        ASSERT_EQ(shared[i], i - at < size ? 0xee : i + 1) << at << '+' << size;
    }
  }
}

TEST(SharedCopy, WordsAreWhole) {
  alignas(8) std::array<std::uint8_t, 16> shared{};
  std::array<std::byte, 8> ones;
  ones.fill(std::byte{0xff});
  const std::array<std::byte, 8> zeros{};
  std::jthread writer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      copy_to_shared(shared.data() + 8, ones);
      copy_to_shared(shared.data() + 8, zeros);
    }
  });
  for (int i = 0; i < 100'000; ++i) {
    std::array<std::byte, 8> seen;
    copy_from_shared(seen, shared.data() + 8);
    ASSERT_TRUE(seen == ones || seen == zeros);
  }
}

}  // namespace
}  // namespace ringside::hypervisor
