// Protection keys under Debian's kernel: a program of ours has pages that its keys lock.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "linux/linux_guest.h"
#include "linux/recorded_run.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;

class LinuxKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "elsewhere the host's processor says what there is";
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    if (!std::filesystem::exists(files_.program("keys"))) GTEST_SKIP() << "no program keys";
  }
  const LinuxFiles files_{"cloud-amd64"};
};

TEST_F(LinuxKeys, ForbidWhatTheyLock) {
  const RecordedRun recorded(::testing::TempDir() + "ringside-keys-" + std::to_string(::getpid()));
  const LinuxOptions options{.cpus = 2, .arguments = {"--cpu", "v3"}};
  LinuxGuest guest(files_, recorded.recorded(options));
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  EXPECT_THAT(shell.output_of("grep -m 1 flags /proc/cpuinfo"), HasSubstr(" pku ospke "));
  EXPECT_EQ(shell.output_of("keys"), "keys: ok\n");
  // More of them than processors.
  EXPECT_EQ(shell.output_of("for i in 1 2 3 4; do keys >/tmp/keys$i & done; wait; cat /tmp/keys*"),
            "keys: ok\nkeys: ok\nkeys: ok\nkeys: ok\n");
  EXPECT_THAT(shell.output_of("dmesg"), Not(HasSubstr("XSAVE consistency problem")));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  recorded.expect_repetition(files_, options, guest.process());
}

TEST_F(LinuxKeys, AreNotThereOnV2) {
  LinuxGuest guest(files_);
  guest.shell().await_prompt();
  EXPECT_EQ(guest.shell().output_of("keys"), "keys: there are none\n");
}

TEST_F(LinuxKeys, LockNoDebuggerOut) {
  LinuxGuest guest(files_, {.arguments = {"--cpu", "v3", "-G", "0"}});
  const std::string target = guest.gdb_target();
  guest.shell().await_prompt();
  guest.process().write_input("keys locked\n");
  guest.process().await(Stream::Output, "key 1, page 0x");
  guest.process().await(Stream::Output, "\n");
  const std::string said = guest.process().text(Stream::Output);
  const std::uint64_t page = std::stoull(said.substr(said.rfind("page 0x") + 5), nullptr, 16);
  DebugClient client(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1))));
  client.request("?");
  for (const Deadline deadline; (client.registers()[kCs] & 3) != 3;) {
    ASSERT_FALSE(deadline.passed()) << "the guest is not in the program";
    client.step();
  }
  EXPECT_EQ(client.read(page, 8), "a_string");
  client.write(page, "another.");
  EXPECT_EQ(client.read(page, 8), "another.");
  EXPECT_EQ(client.request("p6f"), hex(little_endian(0x5555555c, 4))) << "pkru";
  EXPECT_THAT(monitor(client, fmt::format("walk {:#x}", page)),
              HasSubstr(", user, no execute, protection key 1 (no access)\n"));
}

}  // namespace
}  // namespace ringside::testing
