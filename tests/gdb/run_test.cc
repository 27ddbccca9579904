// The line that `ringside run` prints is typed as it stands there, and attaches GDB.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/testing/temporary_folder.h"
#include "gdb/gdb_session.h"
#include "support/guest_image.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

class PrintedLine : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(GdbSession::missing()); }
  // What GDB says, started by the line that ringside prints for this endpoint.
  static std::string attach(const std::string& endpoint, const std::string& kernel) {
    ChildProcess ringside({RINGSIDE_PROGRAM, "run", "-e", "soft", "--initramfs", "none", "--share",
                           "none", "-s", "none", "-G", endpoint, kernel});
    constexpr std::string_view kLine = "gdb: type  ";
    const std::string line = ringside.await_line(Stream::Error, kLine).substr(kLine.size());
    ChildProcess gdb({"/bin/sh", "-c",
                      line + " -nx -batch -ex 'info threads' -ex 'break tick' -ex continue"
                             " -ex detach 2>&1"});
    gdb.close_input();
    EXPECT_EQ(gdb.await_exit(), 0);
    return gdb.text(Stream::Output);
  }
};

TEST_F(PrintedLine, AttachesByAPort) {
  EXPECT_THAT(attach("0", GuestImage("counters").path()), HasSubstr("\nBreakpoint 1, tick () at "));
}

TEST_F(PrintedLine, AttachesByASocketWhateverTheNames) {
  const TemporaryFolder folder;
  const std::string place = folder / "it's a place";
  std::filesystem::create_directory(place);
  const std::string kernel = place + "/a kernel";
  std::filesystem::copy(GuestImage("counters").path(), kernel);
  EXPECT_THAT(attach("unix:" + place + "/gdb socket", kernel),
              HasSubstr("\nBreakpoint 1, tick () at "));
}

}  // namespace
}  // namespace ringside::testing
