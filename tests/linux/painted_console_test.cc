// Linux on the text screen: Debian's kernel, and SeaBIOS and GRUB before it, as they are painted on
// a terminal, with keys typed there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/testing/temporary_folder.h"
#include "linux/linux_guest.h"
#include "screen/testing/terminal.h"
#include "support/host.h"
#include "support/on_terminal.h"
#include "support/raw_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;

constexpr unsigned kRows = 25, kColumns = 80;

// ringside on a pseudo-terminal, and what a reader of that terminal sees.
class PaintedGuest {
 public:
  explicit PaintedGuest(const std::vector<std::string>& arguments) : program_(command(arguments)) {}

  // Each row without the blanks at its end.
  std::string picture() const {
    std::string text;
    for (unsigned number = 0; number < kRows; ++number) {
      const std::string row = terminal_.row(number);
      text += row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
  }
  // What ringside itself says is below.
  std::string messages() const {
    std::string text;
    for (unsigned number = kRows; number < 2 * kRows; ++number)
      text += terminal_.row(number) + "\n";
    return text;
  }
  void await(const std::function<bool(const std::string&)>& is_it) {
    const Deadline deadline = boot_deadline();
    while (!is_it(picture()))
      terminal_.take(program_.read_more(deadline));
  }
  void await(std::string_view text) {
    await([text](const std::string& picture) { return picture.find(text) != std::string::npos; });
  }
  void type(std::string_view keys) { program_.type(keys); }
  // The characters on the card, by the monitor.
  std::string card() const {
    constexpr std::string_view kListening = "gdb: listening on 127.0.0.1:";
    const std::size_t at = program_.seen().find(kListening) + kListening.size();
    DebugClient client(static_cast<std::uint16_t>(std::stoul(program_.seen().substr(at))));
    std::string text = monitor(client, "info screen");
    client.detach();
    return text;
  }
  int await_end() {
    const int status = program_.await_end();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  static std::vector<std::string> command(const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {RINGSIDE_PROGRAM, "-e",   engine(), "--pace", "off",
                                      "--vga",          "text", "-G",     "0"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }

  OnTerminal program_;
  screen::testing::Terminal terminal_{kColumns};
};

class PaintedConsole : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_IF(host::no_pseudo_terminals());
    SKIP_IF(files_.missing());
  }
  // The prompt is painted, and behind it what a typed command prints (the shell echoes nothing), as
  // the card has it.
  static void use_shell(PaintedGuest& guest) {
    guest.await("\nguest#\n");
    guest.type("echo painted-$((6 * 7))\r");
    guest.await("painted-42\nguest#\n");
    const std::string card = guest.card();
    EXPECT_THAT(card, HasSubstr("painted-42\nguest#\n"));
    guest.await([&card](const std::string& picture) { return picture == card; });
    guest.type("poweroff -f\r");
    EXPECT_EQ(guest.await_end(), 1);
  }

  const LinuxFiles files_{"amd64"};
};

TEST_F(PaintedConsole, HasAShell) {
  PaintedGuest guest(
      {"-m", "256M", "-a", "console=tty0", "-i", files_.initramfs(), files_.kernel()});
  guest.await("\nguest#\n");
  EXPECT_THAT(guest.messages(), HasSubstr("gdb: listening on "));
  use_shell(guest);
}

TEST_F(PaintedConsole, HasSeaBiosAndTheMenuOfGrubBeforeIt) {
  constexpr const char* kSeaBios = "/usr/share/seabios/bios-256k.bin";
  for (const char* path : {kSeaBios, "/usr/share/seabios/vgabios-isavga.bin",
                           "/usr/lib/grub/i386-pc/boot.img", "/sbin/mke2fs"}) {
    if (::access(path, R_OK) != 0) GTEST_SKIP() << path << " is not there";
  }
  const TemporaryFolder folder;
  const std::string disk = folder / "disk.img";
  ChildProcess build({"sh", RINGSIDE_LINUX_TESTS "/build-boot-disk", "bios", disk, files_.kernel(),
                      files_.initramfs(), "screen"});
  ASSERT_EQ(build.await_exit(boot_deadline()), 0) << build.text(ChildProcess::Stream::Error);
  PaintedGuest guest({"-m", "256M", "--bios", kSeaBios, "-d", disk + ",snapshot"});
  guest.await("SeaBIOS (version 1.");
  guest.await("*Nothing");
  guest.type("\x1b[B");
  guest.await("*Linux");
  guest.type("\r");
  use_shell(guest);
}

}  // namespace
}  // namespace ringside::testing
