// What every scope's test does with its scope. Needs gtest.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "differential/campaign.h"

namespace ringside::differential {

struct Campaign {
  std::string_view name;
  unsigned cases_per_form = 240;
  std::uint64_t seed = 1;
  std::size_t least_forms = 1;  // fewer would mean that the search for forms is broken
};

// Runs the campaign, prints its numbers, and fails for each difference. Skips the test where the
// host cannot run the mode.
void expect_matches_the_host(Mode mode, const Scope& scope, const Campaign& campaign);

// For INSTANTIATE_TEST_SUITE_P over modes.
std::string mode_name(const testing::TestParamInfo<Mode>& info);

}  // namespace ringside::differential
