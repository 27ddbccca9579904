#include "cli/terminal/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringside::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

TEST(Progress, SaysALineASecondAndNothingInTheFirst) {
  Progress::Clock::time_point now{};
  std::vector<std::string> lines;
  Progress progress([&] { return now; }, [&](std::string_view line) { lines.emplace_back(line); });
  const auto after = [&](milliseconds time, const Stage& stage) {
    now += time;
    progress.at(stage);
  };
  after(milliseconds(999), {"unpacking", 1u << 20, 0});
  EXPECT_THAT(lines, ElementsAre());
  after(milliseconds(1), {"unpacking", 2u << 20, 0});
  after(milliseconds(500), {"unpacking", 3u << 20, 0});
  // Another thing that the same start has to do goes on with the same second.
  after(milliseconds(500), {"restoring", 5u << 20, 7u << 20});
  after(milliseconds(5'000), {"restoring", (7u << 20) - 1, 7u << 20});
  after(milliseconds(5'000), {"waiting", 0, 0});
  EXPECT_THAT(lines,
              ElementsAre("unpacking: 2 MiB", "restoring: 5 of 7 MiB", "restoring: 7 of 7 MiB"));
}

}  // namespace
}  // namespace ringside::cli
