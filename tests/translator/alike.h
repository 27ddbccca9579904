// An assertion on what is different between twins, which shows it once and as it is.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace ringside::testing {

inline ::testing::AssertionResult alike(const std::string& difference) {
  if (difference.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "different:\n" << difference;
}

}  // namespace ringside::testing
