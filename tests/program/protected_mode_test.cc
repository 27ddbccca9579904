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

TEST(TripleFault, ShowsItsVcpuWhenNobodyIsAttached) {
  using Stream = ChildProcess::Stream;
  GuestProcess guest("end_triple_fault", {.cpus = 2, .start = GuestOptions::Start::WithoutDebug});
  guest.await_said("r");
  guest.process().write_input("x");
  EXPECT_EQ(guest.process().await_exit(), 3);
  const std::string& said = guest.process().text(Stream::Error);
  EXPECT_THAT(said, ::testing::HasSubstr("guest: ended in a triple fault"));
  // At the UD2, in 64-bit mode, with the table that is none.
  EXPECT_THAT(said, ::testing::ContainsRegex("vCPU 0: rip 00000000001[0-9a-f]+ .*code 0f 0b"));
  EXPECT_THAT(said, ::testing::HasSubstr("idtr base 0000000000000000 limit 0000"));
  EXPECT_THAT(said, ::testing::ContainsRegex("cr0 80[0-9a-f]+ .* efer 0[0-9a-f]+"));
}

}  // namespace
}  // namespace ringside::testing
