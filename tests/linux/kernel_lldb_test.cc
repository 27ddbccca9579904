// LLDB, Debian's vmlinux, and Debian's own kernel under ringside, at source level.
#include "gdb/lldb_fixture.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class LinuxLldb : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { SKIP_IF(host::no_program(GetParam())); }
};

TEST_P(LinuxLldb, DebiansKernel) {
  const LinuxFiles files("cloud-amd64");
  SKIP_IF(files.missing());
  ChildProcess ringside({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-m", "512M", "-G", "w0",
                         "-a", "console=ttyS0 nokaslr", files.kernel()});
  const std::string line =
      ringside.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
  const std::string connect = "gdb-remote 127.0.0.1:" + line.substr(line.rfind(':') + 1);
  const auto talk = [&](std::vector<std::string> commands) {
    commands.insert(commands.begin(), connect);
    return lldb_says(GetParam(), files.symbols(), commands, Deadline(std::chrono::seconds(300)));
  };

  const std::string early = talk({"breakpoint set -n start_kernel",
                                  "continue",
                                  "bt",
                                  "expression (const char*)&linux_banner",
                                  "breakpoint delete 1",
                                  "breakpoint set -n setup_arch",
                                  "continue",
                                  "frame variable cmdline_p",
                                  "expression (char*)boot_command_line",
                                  "thread step-over",
                                  "thread step-inst",
                                  "breakpoint delete 2",
                                  "breakpoint set -n kobject_create_and_add",
                                  "continue",
                                  "bt",
                                  "thread step-in",
                                  "thread step-out",
                                  "breakpoint delete 3",
                                  "watchpoint set variable jiffies_64",
                                  "continue",
                                  "watchpoint delete 1",
                                  "expression jiffies_64 > 0",
                                  "detach"});
  EXPECT_THAT(early, ContainsRegex("stop reason = breakpoint 1.1\n +frame #0: 0x[0-9a-f]+ "
                                   "vmlinux`start_kernel at main.c:[0-9]+"));
  EXPECT_THAT(early, ContainsRegex("frame #1: 0x[0-9a-f]+ vmlinux`secondary_startup_64"));
  EXPECT_THAT(early, HasSubstr("\"Linux version 6.1"));
  EXPECT_THAT(early, HasSubstr("\"console=ttyS0 nokaslr\""));
  EXPECT_THAT(early, ContainsRegex("stop reason = step over\n +frame #0: 0x[0-9a-f]+ "
                                   "vmlinux`setup_arch\\(cmdline_p=0x[0-9a-f]+\\) at setup.c"));
  EXPECT_THAT(early, HasSubstr("stop reason = instruction step into"));
  EXPECT_THAT(early, HasSubstr("vmlinux`kobject_create_and_add"));
  EXPECT_THAT(early, ContainsRegex("stop reason = step out\nReturn value: \\(kobject \\*\\)"));
  EXPECT_THAT(early, HasSubstr("stop reason = watchpoint 1"));
  EXPECT_THAT(early, HasSubstr("vmlinux`do_timer(ticks=1)"));
  EXPECT_THAT(early, HasSubstr("(bool)"));
  EXPECT_THAT(early, HasSubstr("detached"));

  // It boots on without us, to the point where it misses its root file system.
  ringside.await(ChildProcess::Stream::Output, "Kernel panic - not syncing: VFS",
                 Deadline(std::chrono::seconds(300)));
  const std::string late = talk({"bt", "thread list", "expression system_state",
                                 "expression (char*)init_task.comm", "detach"});
  EXPECT_THAT(late, HasSubstr("frame #0: "));
  EXPECT_THAT(late, HasSubstr("name = 'vCPU 1'"));
  EXPECT_THAT(late, HasSubstr("\"swapper/0\""));
  EXPECT_THAT(late, HasSubstr("detached"));
  EXPECT_TRUE(ringside.running());
}

INSTANTIATE_TEST_SUITE_P(Installed, LinuxLldb, ::testing::Values("lldb-14", "lldb-19", "lldb-21"),
                         lldb_name);

}  // namespace
}  // namespace ringside::testing
