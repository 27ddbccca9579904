// Debian's memtest86+ tests all of the memory and finds no error, by its own count.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "linux/guest_checks.h"
#include "linux/linux_guest.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kScreen = ChildProcess::Stream::Output;

// Its screen goes to COM1 by escape sequences: a menu at once, what the tests do once in two
// seconds of the guest's. Keys are read there, too; a digit is a function key.
class Memtest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::access(kFile, R_OK) != 0) GTEST_SKIP() << kFile << " is not there";
  }
  ChildProcess start() {
    return ChildProcess({RINGSIDE_PROGRAM, "-e", engine(), "--pace", "off", "-m", "16M", "-a",
                         "console=ttyS0,115200 nobigstatus", kFile});
  }
  static void expect_pass_without_error(ChildProcess& process, const Deadline& deadline) {
    process.await(kScreen, "Pass:  1 ", deadline);
    process.await(kScreen, "Pass:  1        Errors: ", deadline);
    EXPECT_THAT(process.text(kScreen), HasSubstr("Errors: 0 "));
    EXPECT_THAT(process.text(kScreen), Not(ContainsRegex("Errors: +[1-9]")));
    EXPECT_TRUE(process.running());
  }

  static constexpr const char* kFile = RINGSIDE_LINUX_FILES "/memtest/memtest86+x64.bin";
};

// All tests but the last one, which waits for bits to fade.
TEST_F(Memtest, FindsNoErrorInAPass) {
  ChildProcess process = start();
  process.await(kScreen, "\x1b[2J", boot_deadline());
  process.write_input("1");
  process.await(kScreen, "<F10> Exit menu", boot_deadline());
  process.write_input("1");
  process.await(kScreen, "<F2>  Remove one test", boot_deadline());
  process.write_input("2");
  process.await(kScreen, "Enter test #", boot_deadline());
  process.write_input("10\r");
  process.await(kScreen, "*.********.", boot_deadline());
  process.write_input("00");
  expect_pass_without_error(process, boot_deadline());
}

TEST_F(Memtest, FindsNoErrorInAWholePass) {
  if (!is_fidelity_whole()) GTEST_SKIP() << "only with FIDELITY=whole";
  ChildProcess process = start();
  expect_pass_without_error(process, Deadline(std::chrono::minutes(170)));
  EXPECT_THAT(process.text(kScreen), HasSubstr("#10 "));
}

}  // namespace
}  // namespace ringside::testing
