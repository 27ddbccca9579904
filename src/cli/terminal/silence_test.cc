#include "cli/terminal/silence.h"

#include <gtest/gtest.h>

namespace ringside::cli {
namespace {

constexpr VirtualTime kBefore{Silence::kLong.ns - 1};

TEST(Silence, IsToldOnceAfterAWhile) {
  Silence silence;
  EXPECT_FALSE(silence.has_become_long({0}));
  EXPECT_FALSE(silence.has_become_long(kBefore));
  EXPECT_TRUE(silence.has_become_long(Silence::kLong));
  EXPECT_FALSE(silence.has_become_long(Silence::kLong));
}

TEST(Silence, IsNoneWhereSomethingWasHeard) {
  Silence silence;
  EXPECT_FALSE(silence.has_become_long(kBefore));
  silence.heard();
  EXPECT_FALSE(silence.has_become_long(Silence::kLong));
}

}  // namespace
}  // namespace ringside::cli
