#include "rsp/file_io.h"

#include <gtest/gtest.h>

namespace ringside::rsp {
namespace {

TEST(FileIo, ResultsAreTold) {
  for (const char* result : {"F0", "F1", "F-1,9", "F1,0", "F-1,270f"})
    EXPECT_EQ(parse_call_result(result), CallResult::Returned) << result;
  EXPECT_EQ(parse_call_result("F-1,4,C"), CallResult::Interrupted);
  EXPECT_EQ(parse_call_result("F1,0,C"), CallResult::Interrupted);
}

TEST(FileIo, OtherPacketsAreNone) {
  for (const char* other : {"", "F", "F-", "Fx", "F1,", "F1,x", "F1,4,", "F1,4,D", "F1,4,CC", "F1;",
                            "f1", "g", "Fisatty,1"})
    EXPECT_EQ(parse_call_result(other), std::nullopt) << other;
}

}  // namespace
}  // namespace ringside::rsp
