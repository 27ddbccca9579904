// OVMF starts a kernel that it finds in its configuration by the kernel's EFI stub.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "linux/linux_guest.h"
#include "linux/recorded_run.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

// The stub alone says this, and the path is of an initrd that firmware hands over.
constexpr const char* kStub = "EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID";

class FirmwareKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* path : {kCode, kVariables})
      if (::access(path, R_OK) != 0) GTEST_SKIP() << path << " is not there";
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
    std::filesystem::create_directory(folder_);
    std::filesystem::copy_file(kVariables, variables_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static LinuxOptions with(const std::string& variables, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--bios", kCode, "--firmware-vars", variables});
    return {.arguments = std::move(more)};
  }

  static constexpr const char* kCode = "/usr/share/OVMF/OVMF_CODE.fd";
  static constexpr const char* kVariables = "/usr/share/OVMF/OVMF_VARS.fd";
  const LinuxFiles files_{"cloud-amd64"};
  const std::string folder_ =
      ::testing::TempDir() + "ringside-firmware-kernel-" + std::to_string(::getpid());
  const std::string variables_ = folder_ + "/vars.fd", saved_ = folder_ + "/saved";
};

TEST_F(FirmwareKernel, ComesToItsShellAndAgain) {
  const RecordedRun run(folder_ + "/journal");
  const LinuxOptions options = with(std::string(kVariables) + ",snapshot");
  LinuxGuest guest(files_, run.recorded(options));
  LinuxShell& shell = guest.shell();
  shell.await_prompt();
  EXPECT_THAT(guest.process().text(ChildProcess::Stream::Output), HasSubstr(kStub));
  EXPECT_THAT(shell.output_of("cat /proc/cmdline"), HasSubstr("console=ttyS0"));
  EXPECT_THAT(shell.output_of("dmesg"), HasSubstr("efi: EFI v2"));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
  run.expect_repetition(files_, options, guest.process());
}

TEST_F(FirmwareKernel, IsFoundAgainAfterAReset) {
  LinuxGuest guest(files_, with(variables_, {"-G", "0"}));
  guest.shell().await_prompt();
  const std::string target = guest.gdb_target();
  const auto port = static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)));
  DebugClient client(port);
  EXPECT_EQ(unhex(client.request("qRcmd," + hex("system_reset"))),
            "The machine is as at power-on.\n");
  client.detach();
  guest.shell().await_prompt();
  EXPECT_EQ(guest.shell().end("poweroff -f"), 1);
}

// Saved before the firmware has read anything of it.
TEST_F(FirmwareKernel, IsFoundByASavedMachine) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  LinuxGuest guest(files_, with(variables_, {"-G", "w0", "--save", saved_}));
  (void)guest.gdb_target();
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved_});
  LinuxShell shell(restored);
  shell.await_prompt();
  EXPECT_THAT(restored.text(ChildProcess::Stream::Output), HasSubstr(kStub));
  EXPECT_EQ(shell.end("poweroff -f"), 1);
}

}  // namespace
}  // namespace ringside::testing
