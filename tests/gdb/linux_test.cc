// Stock GDB, Debian's vmlinux, and Debian's own kernel under ringside: the main job, on real input.
// Part of `make test-guests`, which sets RINGSIDE_LINUX to the directory with vmlinuz and vmlinux.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "gdb/gdb_session.h"
#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(Linux, DebiansKernelUnderStockGdb) {
  const char* directory = std::getenv("RINGSIDE_LINUX");
  if (directory == nullptr) GTEST_SKIP() << "RINGSIDE_LINUX is not set; see make test-guests";
  const std::string kernel = std::string(directory) + "/vmlinuz";
  const std::string symbols = std::string(directory) + "/vmlinux";

  ChildProcess ringside({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-m", "512M", "-G", "w0",
                         "-a", "console=ttyS0 nokaslr", kernel});
  const std::string line =
      ringside.await_line(ChildProcess::Stream::Error, "gdb: listening on 127.0.0.1:");
  const std::string port = line.substr(line.rfind(':') + 1);
  GdbSession gdb(symbols);
  const auto connect = [&] { return gdb.command("target remote 127.0.0.1:" + port); };

  connect();
  EXPECT_THAT(gdb.command("hbreak start_kernel"), HasSubstr("reakpoint 1 at"));
  EXPECT_THAT(gdb.command("continue"), ContainsRegex("Breakpoint 1, start_kernel \\(\\) at "
                                                     ".*init/main.c:[0-9]+"));
  EXPECT_THAT(gdb.command("backtrace"), ContainsRegex("#0 +start_kernel .*\n#1 .*x86_64_start_"));
  EXPECT_THAT(gdb.command("print linux_banner"), HasSubstr("Linux version 6.1"));
  EXPECT_THAT(gdb.command("info registers cr3"), HasSubstr("cr3"));
  gdb.command("delete");

  EXPECT_THAT(gdb.command("break setup_arch"), HasSubstr("reakpoint 2 at"));
  EXPECT_THAT(gdb.command("continue"), HasSubstr("setup_arch (cmdline_p="));
  EXPECT_THAT(gdb.command("next"), ContainsRegex("[0-9]+"));
  EXPECT_THAT(gdb.command("stepi"), ContainsRegex("0x|[0-9]+"));
  gdb.command("delete");

  // Further on: with the second vCPU started, and a function run to its end.
  gdb.command("break kernel_init");
  EXPECT_THAT(gdb.command("continue"), HasSubstr("kernel_init ("));
  gdb.command("delete");
  gdb.command("break do_initcalls");
  gdb.command("break do_basic_setup");
  EXPECT_THAT(gdb.command("continue"), ContainsRegex("do_basic_setup|do_initcalls"));
  gdb.command("delete");
  const std::string threads = gdb.command("info threads");
  EXPECT_THAT(threads, HasSubstr("vCPU 0"));
  EXPECT_THAT(threads, HasSubstr("vCPU 1"));
  gdb.command("break kobject_create_and_add");
  EXPECT_THAT(gdb.command("continue"), HasSubstr("kobject_create_and_add (name="));
  gdb.command("delete");
  EXPECT_THAT(gdb.command("finish"), HasSubstr("Value returned is"));

  EXPECT_THAT(gdb.interrupt_command("continue", ringside), HasSubstr("received signal SIG"));
  EXPECT_THAT(gdb.command("print jiffies >= 0"), HasSubstr("= 1"));
  gdb.command("detach");
  ringside.await(ChildProcess::Stream::Output, "Kernel panic - not syncing: VFS",
                 Deadline(std::chrono::seconds(240)));
  connect();
  EXPECT_THAT(gdb.command("backtrace"), HasSubstr("#0 "));
  EXPECT_THAT(gdb.command("print system_state"), HasSubstr("SYSTEM_"));
  EXPECT_THAT(gdb.command("detach"), HasSubstr("detached"));
}

}  // namespace
}  // namespace ringside::testing
