// A kernel that only PVH starts (tests/guests/pvh.S) finds its command line and its modules, each
// with its own.
#include <gtest/gtest.h>

#include <fstream>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

TEST(PvhProgram, FindsItsModulesInTheirOrder) {
  const TemporaryFolder folder;
  const std::string first = folder / "first", second = folder / "second", third = folder / "third";
  std::ofstream(first) << "content";
  std::ofstream(second) << "more content";
  std::ofstream(third) << "the last";
  ChildProcess process({RINGSIDE_PROGRAM, "-e", engine(), "-a", "console=hvc0 quiet",          //
                        "-i", first + " root=/dev/sda 1", "-i", second, "-i", third + " x=y",  //
                        GuestImage("pvh").path()});
  process.close_input();
  EXPECT_EQ(process.await_exit(), 1);  // off
  EXPECT_EQ(process.text(ChildProcess::Stream::Output),
            "console=hvc0 quiet\nroot=/dev/sda 1\ncontent\n\nmore content\nx=y\nthe last\n");
}

}  // namespace
}  // namespace ringside::testing
