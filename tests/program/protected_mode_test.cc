// A guest that checks segmentation, privilege and tasks by itself (tests/guests/protected32.S), and
// what a death looks like from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

TEST(ProtectedMode, SegmentsRingsGatesAndTasks) {
  GuestProcess guest("protected32",
                     {.start = GuestOptions::Start::WithoutDebug, .arguments = {"--debug-exit"}});
  const int status = guest.process().await_exit();
  // Each part that holds says its letter; "0" and "1" are the line number of what does not.
  EXPECT_EQ(guest.process().text(ChildProcess::Stream::Output), "abcdefghik");
  EXPECT_EQ(status, 1);
}

}  // namespace
}  // namespace ringside::testing
