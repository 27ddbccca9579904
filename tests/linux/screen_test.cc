// The text screen and the keyboard with programs that we did not write: Debian's kernel on its own
// drivers, and GRUB by SeaBIOS and its video BIOS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/testing/temporary_folder.h"
#include "linux/linux_guest.h"
#include "support/debug_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

class LinuxScreen : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!files_.missing().empty()) GTEST_SKIP() << files_.missing();
  }
  static std::vector<std::string> command(const std::vector<std::string>& rest) {
    std::vector<std::string> words = {RINGSIDE_PROGRAM, "-e", engine(), "--pace", "off", "--vga",
                                      "text",           "-G", "0",      "-m",     "512M"};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  }
  // What the screen shows once there is `text` on it.
  static std::string await_screen(ChildProcess& process, std::string_view text) {
    const std::string line = process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
    const auto port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
    const Deadline deadline = boot_deadline();
    for (;;) {
      DebugClient client(port);
      client.request("?");
      std::string screen = monitor(client, "info screen");
      client.detach();
      if (screen.find(text) != std::string::npos) return screen;
      if (deadline.passed() || !process.running()) {
        ADD_FAILURE() << "no \"" << text << "\" in:\n" << screen;
        return screen;
      }
      // The next thing that is drawn, if there is one.
      process.await_more(Stream::Output, deadline);
    }
  }
  static void type_at_shell(ChildProcess& process) {
    await_screen(process, "guest# ");
    process.write_input("echo 6*7=$((6*7)); tty\n");
    EXPECT_THAT(await_screen(process, "6*7=42\n"), HasSubstr("/dev/tty"));
    process.write_input("poweroff -f\n");
    EXPECT_EQ(process.await_exit(boot_deadline()), 1) << process.text(Stream::Error);
  }

  const LinuxFiles files_{"amd64"};
  const TemporaryFolder folder_;
};

TEST_F(LinuxScreen, IsTheConsoleOfDebiansKernel) {
  ChildProcess guest(
      command({"-c", "2", "-a", "console=tty0", "-i", files_.initramfs(), files_.kernel()}));
  type_at_shell(guest);
}

TEST_F(LinuxScreen, IsWhereGrubIsTypedAtAndThenItsKernel) {
  for (const char* const path :
       {"/usr/share/seabios/bios-256k.bin", "/usr/share/seabios/vgabios-isavga.bin",
        "/usr/lib/grub/i386-pc/boot.img"}) {
    if (::access(path, R_OK) != 0) GTEST_SKIP() << path << " is not there";
  }
  const std::string image = folder_ / "disk.img";
  ChildProcess build({"sh", RINGSIDE_LINUX_TESTS "/build-boot-disk", "screen", image,
                      files_.kernel(), files_.initramfs()});
  ASSERT_EQ(build.await_exit(boot_deadline()), 0) << build.text(Stream::Error);
  ChildProcess guest(command({"-d", image, "--bios", "/usr/share/seabios/bios-256k.bin"}));
  await_screen(guest, "GRUB for i386-pc");
  await_screen(guest, "grub>");
  guest.write_input("echo typed\n");
  await_screen(guest, "\ntyped\n");
  guest.write_input("boot\n");
  type_at_shell(guest);
}

}  // namespace
}  // namespace ringside::testing
