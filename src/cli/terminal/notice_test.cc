#include "cli/terminal/notice.h"

#include <gtest/gtest.h>

namespace ringside::cli {
namespace {

TEST(Notice, ShowsWhatOthersHaveChosenAndATerminalObeysNothingOfIt) {
  ::testing::internal::CaptureStderr();
  notice("profile: '{}' has {} samples", "\x1b[31mred\xff", 3);
  notice("{}", "two\n\tlines");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "profile: '\\x1b[31mred\\xff' has 3 samples\ntwo\n\tlines\n");
}

}  // namespace
}  // namespace ringside::cli
