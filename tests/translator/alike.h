// What tests of twins say: what they need of the host, and what is different between the two, once
// and as it is.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/soft/soft_vm.h"

namespace ringside::testing {

// Why there is no translator to compare; empty: there is one.
inline std::string no_translator() {
  return soft::can_translate() ? "" : "this host lets the software CPU translate nothing";
}

inline ::testing::AssertionResult alike(const std::string& difference) {
  if (difference.empty()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "different:\n" << difference;
}

}  // namespace ringside::testing
