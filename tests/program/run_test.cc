// `ringside run`, as far as it takes no Linux, and the keys behind Ctrl-A.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing/temporary_folder.h"
#include "support/child_process.h"
#include "support/debug_client.h"
#include "support/guest_process.h"
#include "support/host.h"
#include "support/on_terminal.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

TEST(Run, SaysWhatItStartsAndHowToAttach) {
  const GuestImage guest("counters");
  ChildProcess ringside(
      {RINGSIDE_PROGRAM, "run", "--initramfs", "none", "--share", "none", "-G", "0", guest.path()});
  EXPECT_EQ(ringside.await_line(Stream::Error, "run: "), "run: " + guest.path());
  constexpr std::string_view kListening = "gdb: listening on ";
  const std::string where =
      ringside.await_line(Stream::Error, kListening).substr(kListening.size());
  EXPECT_EQ(ringside.await_line(Stream::Error, "gdb: type"),
            "gdb: type  gdb " + guest.path() + " -ex 'target remote " + where + "'");
  ringside.kill(SIGTERM);
  EXPECT_EQ(ringside.await_exit(), 4);
}

// The tree's own kernel, with nothing named.
TEST(Run, TakesTheKernelOfTheTreeThatItIsStartedIn) {
  const TemporaryFolder tree;
  std::filesystem::create_directories(tree / "arch/x86/boot");
  std::filesystem::create_symlink(GuestImage("end_power_off").path(),
                                  tree / "arch/x86/boot/bzImage");
  ChildProcess ringside({"/bin/sh", "-c",
                         "cd '" + tree.path().string() +
                             "' && exec '" RINGSIDE_PROGRAM
                             "' run -e soft --initramfs none --share none"});
  ringside.await_line(Stream::Error, "run: ./arch/x86/boot/bzImage");
  ringside.await(Stream::Output, "r");
  ringside.write_input("x");
  EXPECT_EQ(ringside.await_exit(), 1);
}

TEST(Run, SaysOfAKernelThatIsNotThereOnlyThat) {
  ChildProcess ringside({RINGSIDE_PROGRAM, "run", "/nowhere/vmlinuz"});
  EXPECT_EQ(ringside.await_exit(), 4);
  EXPECT_EQ(ringside.text(Stream::Error),
            "ringside: cannot read kernel '/nowhere/vmlinuz': No such file or directory\n");
}

TEST(Run, RefusesAnInitramfsThatIsNotThere) {
  ChildProcess ringside(
      {RINGSIDE_PROGRAM, "run", "--initramfs", "/nowhere/at/all", GuestImage("counters").path()});
  EXPECT_EQ(ringside.await_exit(), 4);
  EXPECT_THAT(ringside.text(Stream::Error),
              HasSubstr("--initramfs: directory '/nowhere/at/all': No such file or directory"));
}

// A replay makes the same initramfs again, or is another run.
TEST(Run, IsReplayedWithTheSameInitramfs) {
  const TemporaryFolder scratch;
  const std::string root = scratch / "root", journal = scratch / "journal";
  std::filesystem::create_directory(root);
  std::ofstream(root + "/init") << "one";
  const auto start = [&](const char* what) {
    return std::vector<std::string>{RINGSIDE_PROGRAM,
                                    "run",
                                    "-e",
                                    "soft",
                                    "--initramfs",
                                    root,
                                    "--share",
                                    "none",
                                    what,
                                    journal,
                                    GuestImage("end_power_off").path()};
  };
  {
    ChildProcess recorded(start("--record"));
    recorded.await(Stream::Output, "r");
    recorded.write_input("x");
    EXPECT_EQ(recorded.await_exit(), 1);
  }
  ChildProcess replayed(start("--replay"));
  replayed.close_input();
  EXPECT_EQ(replayed.await_exit(), 1);
  std::ofstream(root + "/init") << "two";
  ChildProcess other(start("--replay"));
  EXPECT_EQ(other.await_exit(), 4);
  EXPECT_THAT(other.text(Stream::Error), HasSubstr("belongs to another run"));
}

class Keys : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_pseudo_terminals()); }
  // Of the command that attaches GDB, once it was told.
  static std::uint16_t port_of_the_line(OnTerminal& program, const GuestImage& image) {
    program.await("guest: stopped for a debugger");
    const std::string target = "gdb: type  gdb " + image.path() + " -ex 'target remote 127.0.0.1:";
    program.await(target);
    program.await("'\r\n");
    const std::size_t at = program.seen().find(target) + target.size();
    return static_cast<std::uint16_t>(std::stoul(program.seen().substr(at)));
  }
};

TEST_F(Keys, AreShown) {
  OnTerminal program({RINGSIDE_PROGRAM, "-e", engine(), GuestImage("counters").path()});
  program.await("\n0");
  program.type("\x01h");
  program.await("keys: Ctrl-A d");
  program.type("\x01x");
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 1);
}

// Ctrl-A d: the guest stands until it is pressed again, or until a debugger lets it go on.
TEST_F(Keys, StopTheGuestForADebugger) {
  const GuestImage image("counters");
  OnTerminal program({RINGSIDE_PROGRAM, "-e", engine(), "-c", "2", "-G", "0", image.path()});
  program.await("\n0");
  program.type(
      "\x01"
      "d");
  const std::uint16_t port = port_of_the_line(program, image);
  // Stopped by the key and by the debugger, which sees nothing of the former.
  DebugClient client(port);
  EXPECT_EQ(client.request("?"), "S05");
  client.run_to(image["tick"]);
  client.detach();
  client.close();
  program.forget();
  program.type(
      "\x01"
      "d");
  program.await("guest: stopped for a debugger");
  program.type(
      "\x01"
      "d");
  program.await("guest: goes on");
  DebugClient next(port);
  EXPECT_EQ(next.request("?"), "S05");
  next.run_to(image["tick"]);
  program.forget();
  program.type(
      "\x01"
      "d");
  program.await("guest: a debugger has stopped it");
  next.detach();
  next.close();
  program.type("\x01x");
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 1);
}

// Without -G a debug server is opened for it, as SIGUSR1 does.
TEST_F(Keys, OpenADebugServerWhereThereIsNone) {
  const GuestImage image("counters");
  OnTerminal program({RINGSIDE_PROGRAM, "-e", engine(), image.path()});
  program.await("\n0");
  program.type(
      "\x01"
      "d");
  DebugClient client(port_of_the_line(program, image));
  EXPECT_EQ(client.request("?"), "S05");
  client.run_to(image["tick"]);
}

}  // namespace
}  // namespace ringside::testing
