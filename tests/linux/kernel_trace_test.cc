// Tracepoints of stock GDB in Debian's kernel, while it boots on two vCPUs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/testing/temporary_folder.h"
#include "gdb/gdb_session.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// What an expression is in each frame of a tracepoint.
std::vector<std::string> in_frames(GdbSession& gdb, int tracepoint, const std::string& expression) {
  gdb.command("tfind start");
  const std::string text =
      gdb.command("while $trace_frame >= 0\nif $tracepoint == " + std::to_string(tracepoint) +
                      "\necho value:\noutput " + expression + "\necho \\n\nend\ntfind\nend",
                  boot_deadline());
  const std::regex line("value:([^\n]*)");
  std::vector<std::string> values;
  for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at)
    values.push_back((*at)[1]);
  return values;
}

TEST(Linux, TracepointsInDebiansKernel) {
  const LinuxFiles files("cloud-amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();
  const TemporaryFolder folder;

  ChildProcess ringside({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-m", "512M", "-G", "w0",
                         "--files", folder.path().string(), "-a", "console=ttyS0 nokaslr",
                         files.kernel()});
  const std::string line =
      ringside.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
  const std::string port = line.substr(line.rfind(':') + 1);
  std::optional<GdbSession> gdb(files.symbols());
  const auto run = [&](const std::string& command) {
    return gdb->command(command, boot_deadline());
  };
  run("target remote 127.0.0.1:" + port);

  // A function whose passes end the trace, with what its argument points to; and one that both
  // vCPUs come to. Their addresses are not mapped yet. GDB finds a tracepoint in a file by its
  // number where that is the same as it was, and so nothing else is numbered before them.
  constexpr unsigned kPasses = 12;
  EXPECT_THAT(run("trace kobject_create_and_add"), HasSubstr("Tracepoint 1 at"));
  run("actions\ncollect $args, *name@8\nend");
  run("passcount " + std::to_string(kPasses) + " 1");
  EXPECT_THAT(run("trace try_to_wake_up if p->pid > 1"), HasSubstr("Tracepoint 2 at"));
  run("actions\ncollect $regs, p->comm, p->pid\nend");
  EXPECT_EQ(run("tstart"), "");
  // Without a root file system the boot ends here.
  EXPECT_THAT(run("break panic"), HasSubstr("Breakpoint 3 at"));
  EXPECT_THAT(run("continue"), HasSubstr("Breakpoint 3, panic"));
  EXPECT_THAT(run("tstatus"), HasSubstr("Trace stopped by tracepoint 1."));
  EXPECT_THAT(run("info tracepoints"),
              HasSubstr("already hit " + std::to_string(kPasses) + " times"));
  EXPECT_THAT(run("print system_state"), HasSubstr("SYSTEM_"));

  const auto expect_frames = [&] {
    run("tfind none");
    EXPECT_THAT(run("tfind tracepoint 1"), HasSubstr("tracepoint 1"));
    EXPECT_THAT(run("tdump"), AllOf(HasSubstr("Data collected at tracepoint 1, trace frame"),
                                    HasSubstr("parent = "), HasSubstr("*name@8 = \"")));
    const std::vector<std::string> names = in_frames(*gdb, 1, "*name@8");
    EXPECT_EQ(names.size(), kPasses);
    EXPECT_THAT(names, Contains(HasSubstr("kernel")));
    const std::vector<std::string> cpus = in_frames(*gdb, 2, "$gs_base");
    EXPECT_EQ(std::set<std::string>(cpus.begin(), cpus.end()).size(), 2u);
  };
  expect_frames();
  EXPECT_THAT(run("tsave " + folder.path().string() + "/by_gdb"), HasSubstr("saved"));
  EXPECT_THAT(run("tsave -r on_server"), Not(HasSubstr("rror")));
  run("tfind none");
  EXPECT_THAT(run("detach"), HasSubstr("detached"));
  for (const char* name : {"/by_gdb", "/on_server"}) {
    gdb.emplace(files.symbols());
    EXPECT_THAT(run("target tfile " + folder.path().string() + name), HasSubstr("tracepoint"));
    expect_frames();
  }
  EXPECT_TRUE(ringside.running());
}

}  // namespace
}  // namespace ringside::testing
