// Stock GDB, Debian's vmlinux, and Debian's own kernel under ringside: the main job, on real input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gdb/gdb_session.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(Linux, DebiansKernelUnderStockGdb) {
  const LinuxFiles files("cloud-amd64");
  if (!files.missing().empty()) GTEST_SKIP() << files.missing();

  ChildProcess ringside({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-m", "512M", "-G", "w0",
                         "-a", "console=ttyS0 nokaslr", files.kernel()});
  const std::string line =
      ringside.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
  const std::string port = line.substr(line.rfind(':') + 1);
  GdbSession gdb(files.symbols());
  const auto connect = [&] { return gdb.command("target remote 127.0.0.1:" + port); };

  const auto run = [&](const char* command) {
    return gdb.command(command, Deadline(std::chrono::seconds(180)));
  };

  connect();
  EXPECT_THAT(run("break start_kernel"), HasSubstr("reakpoint 1 at"));
  EXPECT_THAT(run("continue"), ContainsRegex("Breakpoint 1, start_kernel \\(\\) at "
                                             "init/main.c:[0-9]+\n[0-9]+"));
  EXPECT_THAT(run("backtrace"), ContainsRegex("#0 +start_kernel .*\n#1 .*"));
  EXPECT_THAT(run("print linux_banner"), HasSubstr("Linux version 6.1"));
  EXPECT_THAT(run("info registers cr3"), HasSubstr("cr3"));
  run("delete");

  EXPECT_THAT(run("break setup_arch"), HasSubstr("reakpoint 2 at"));
  EXPECT_THAT(run("continue"), HasSubstr("setup_arch (cmdline_p="));
  EXPECT_THAT(run("print boot_command_line"), HasSubstr("console=ttyS0 nokaslr"));
  EXPECT_THAT(run("next"), HasSubstr("setup.c"));
  const std::string before = run("print $pc");
  run("stepi");
  EXPECT_NE(run("print $pc"), before);
  run("delete");

  // Further on: with the second vCPU started, and a function run to its end.
  run("break do_basic_setup");
  run("break do_initcalls");
  EXPECT_THAT(run("continue"), ContainsRegex("do_basic_setup|do_initcalls|kernel_init"));
  run("delete");
  run("break kobject_create_and_add");
  EXPECT_THAT(run("continue"), HasSubstr("kobject_create_and_add (name="));
  run("delete");
  const std::string threads = run("info threads");
  EXPECT_THAT(threads, HasSubstr("vCPU 0"));
  EXPECT_THAT(threads, HasSubstr("vCPU 1"));
  EXPECT_THAT(run("thread apply all -q print $_thread"), ContainsRegex("= 2\n(.*\n)*.*= 1\n"));
  EXPECT_THAT(run("finish"), HasSubstr("Value returned is"));

  EXPECT_THAT(gdb.interrupt_command("continue", ringside), HasSubstr("received signal SIG"));
  EXPECT_THAT(run("print jiffies > 0"), HasSubstr("= 1"));
  EXPECT_THAT(run("detach"), HasSubstr("detached"));
  // It boots on without us, to the point where it misses its root file system.
  ringside.await(ChildProcess::Stream::Output, "Kernel panic - not syncing: VFS",
                 Deadline(std::chrono::seconds(300)));
  connect();
  EXPECT_THAT(run("backtrace"), HasSubstr("#0 "));
  EXPECT_THAT(run("print system_state"), HasSubstr("SYSTEM_"));
  EXPECT_THAT(run("detach"), HasSubstr("detached"));
  EXPECT_TRUE(ringside.running());
}

}  // namespace
}  // namespace ringside::testing
