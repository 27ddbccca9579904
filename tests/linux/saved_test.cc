// A booted kernel as a saved machine: it goes on in other processes as it would have, and many
// inputs are tried on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "linux/linux_guest.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;

class LinuxSaved : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  const LinuxFiles files_{"cloud-amd64"};
  const std::string folder_ =
      ::testing::TempDir() + "ringside-saved-linux-" + std::to_string(::getpid());
  const std::string saved_ = folder_ + "/saved";
};

// Work is typed, and the machine saved in the midst of it, so that nothing more comes from outside.
TEST_F(LinuxSaved, GoesOnToTheSameEnd) {
  for (const unsigned cpus : {1u, 4u}) {
    SCOPED_TRACE(cpus);
    LinuxGuest guest(
        files_, {.cpus = cpus,
                 .memory = "512M",
                 .arguments = {"-G", "0", "--pace", "off", "--log", "debug", "--files", folder_}});
    guest.shell().await_prompt();
    const std::string target = guest.gdb_target();
    guest.process().write_input(
        "echo begun; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i >>/tmp/n; done; "
        "cat /proc/*/stat | sha256sum; sha256sum /tmp/n; poweroff -f\n");
    guest.process().await(Stream::Output, "begun\r\n");
    const auto port = static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)));
    DebugClient client(port);
    client.request("?");
    EXPECT_THAT(unhex(client.request("qRcmd," + hex("save saved"))),
                StartsWith("saved 'saved' after "));
    client.detach();
    EXPECT_EQ(guest.process().await_exit(boot_deadline()), 1);
    const std::string expected = state_of(guest.process());
    const std::string said = guest.process().text(Stream::Output);
    EXPECT_THAT(expected, HasSubstr("hash"));
    for (const char* translate : {"on", "off"}) {
      ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved_, "--pace", "off", "--log",
                             "debug", "--translate", translate});
      restored.close_input();
      EXPECT_EQ(restored.await_exit(boot_deadline()), 1);
      EXPECT_EQ(state_of(restored), expected);
      const std::string rest = restored.text(Stream::Output);
      EXPECT_THAT(rest, HasSubstr("  /tmp/n"));
      EXPECT_TRUE(said.ends_with(rest));
    }
  }
}

// With writes of the guest's own to a disk in flight or done: what it has read and flushed before
// is its, and the image is the one that it left.
TEST_F(LinuxSaved, KnowsItsDisk) {
  const std::string image = folder_ + "/image";
  std::filesystem::copy_file(files_.initramfs(), image);
  std::filesystem::resize_file(image, 8u << 20);
  LinuxGuest guest(files_, {.arguments = {"-d", image + ",ro", "--save", saved_}});
  guest.shell().await_prompt();
  guest.shell().load_disk_driver();
  const std::string digest = guest.shell().output_of("sha256sum </dev/vda");
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  for (int i = 0; i < 2; ++i) {
    ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved_});
    LinuxShell shell(restored);
    EXPECT_EQ(shell.output_of("echo 3 >/proc/sys/vm/drop_caches; sha256sum </dev/vda"), digest);
    EXPECT_EQ(shell.end("poweroff -f"), 1);
  }
}

TEST_F(LinuxSaved, ManyInputsAreTriedOnOne) {
  {
    LinuxGuest guest(files_, {.memory = "512M", .arguments = {"--save", saved_}});
    guest.shell().await_prompt();
    guest.process().kill(SIGTERM);
    EXPECT_EQ(guest.process().await_exit(), 4);
  }
  ChildProcess script({RINGSIDE_EXAMPLES "/try-inputs", saved_, "--ringside", RINGSIDE_PROGRAM,
                       "--runs", "12", "--timeout", "300"});
  EXPECT_EQ(script.await_exit(boot_deadline()), 0) << script.text(Stream::Error);
  const std::string said = script.text(Stream::Output);
  for (const char* answer :
       {"     4 status 1: 0 ", "     4 status 1: 1 ", "     4 status 1: 2 ", "12 runs in "})
    EXPECT_THAT(said, HasSubstr(answer));
}

}  // namespace
}  // namespace ringside::testing
