// Stock GDB goes back through the boot of Debian's kernel, and forward again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gdb/gdb_session.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class LinuxPast : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    guest_.emplace(
        files_,
        LinuxOptions{
            .cpus = GetParam(), .memory = "512M", .append = "nokaslr", .arguments = {"-G", "w0"}});
    gdb_.emplace(files_.symbols());
    gdb("target remote " + guest_->gdb_target());
  }
  std::string gdb(const std::string& command) {
    return gdb_->command(command, Deadline(std::chrono::seconds(300)));
  }
  std::uint64_t value(const std::string& expression) {
    return std::stoull(gdb("output/d " + expression));
  }
  std::uint64_t now() {
    const std::string said = gdb("monitor when");
    EXPECT_THAT(said, StartsWith("at "));
    return std::stoull(said.substr(3));
  }

  const LinuxFiles files_{"cloud-amd64"};
  std::optional<LinuxGuest> guest_;
  std::optional<GdbSession> gdb_;
};

TEST_P(LinuxPast, FromASystemCallBackToTheKernelsStart) {
  gdb("break do_sys_openat2");
  EXPECT_THAT(gdb("continue"), HasSubstr("do_sys_openat2 (dfd="));
  const std::uint64_t first = now();
  // The second one comes from a process; what it opens is the witness later.
  EXPECT_THAT(gdb("continue"), HasSubstr("do_sys_openat2 (dfd="));
  const std::uint64_t second = now(), file = value("(unsigned long)filename");
  const std::string registers = gdb("info registers");
  EXPECT_GT(second, first);
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("do_sys_openat2 (dfd="));
  EXPECT_EQ(now(), first);
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("No more reverse-execution history."));
  EXPECT_EQ(now(), 0u);
  // There is no kernel yet at its own addresses; from the present there was.
  gdb("tbreak start_kernel");
  EXPECT_THAT(gdb("continue"), AllOf(HasSubstr("start_kernel () at"), HasSubstr("init/main.c")));
  EXPECT_LT(now(), first);
  EXPECT_THAT(gdb("backtrace"), HasSubstr("#0  start_kernel ()"));
  EXPECT_THAT(gdb("continue"), HasSubstr("do_sys_openat2 (dfd="));
  EXPECT_EQ(now(), first);
  EXPECT_THAT(gdb("continue"), HasSubstr("do_sys_openat2 (dfd="));
  EXPECT_EQ(now(), second);
  EXPECT_EQ(value("(unsigned long)filename"), file);
  EXPECT_EQ(gdb("info registers"), registers);
  // Straight back to it over the whole boot, past the others.
  gdb("delete");
  gdb("tbreak start_kernel");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("start_kernel () at"));
  EXPECT_THAT(gdb("next"), HasSubstr("init/main.c"));
  EXPECT_THAT(gdb("reverse-next"), HasSubstr("main.c"));
  gdb("monitor goto present");
  gdb("maintenance flush register-cache");
  EXPECT_EQ(now(), second);
  // The steps above were the first vCPU's, which GDB has selected still; Linux numbers each there.
  const std::string present = gdb("info registers");
  const auto number = [](const std::string& text) { return text.substr(text.find("tsc_aux"), 40); };
  if (number(present) == number(registers)) {
    EXPECT_EQ(present, registers);
  }
  gdb("delete");
  gdb("detach");
  // It lives, and takes what is typed.
  guest_->shell().await_prompt();
  EXPECT_EQ(guest_->shell().output_of("echo $((6 * 7))"), "42\n");
}

TEST_P(LinuxPast, JiffiesGoBack) {
  gdb("tbreak kernel_init");
  EXPECT_THAT(gdb("continue"), HasSubstr("kernel_init (unused="));
  gdb("tbreak do_sys_openat2");
  EXPECT_THAT(gdb("continue"), HasSubstr("do_sys_openat2 (dfd="));
  const std::uint64_t present = now(), start = value("(unsigned long)jiffies");
  gdb("watch jiffies");
  std::uint64_t ticks = start, before = present;
  for (unsigned i = 0; i < 5; ++i) {
    // Before the write: the old value is in memory.
    EXPECT_THAT(gdb("reverse-continue"), HasSubstr("Hardware watchpoint"));
    EXPECT_LT(value("(unsigned long)jiffies"), ticks);
    EXPECT_LT(now(), before);
    ticks = value("(unsigned long)jiffies");
    before = now();
  }
  EXPECT_THAT(gdb("backtrace"), HasSubstr("tick"));
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_THAT(gdb("continue"), HasSubstr("Hardware watchpoint"));
    EXPECT_GT(value("(unsigned long)jiffies"), ticks);
    ticks = value("(unsigned long)jiffies");
  }
  EXPECT_EQ(ticks, start);
  EXPECT_LE(now(), present);
  gdb("delete");
  gdb("monitor goto present");
  gdb("detach");
  guest_->shell().await_prompt();
}

INSTANTIATE_TEST_SUITE_P(Vcpus, LinuxPast, ::testing::Values(1u, 2u),
                         [](const ::testing::TestParamInfo<unsigned>& one) {
                           return std::to_string(one.param);
                         });

}  // namespace
}  // namespace ringside::testing
