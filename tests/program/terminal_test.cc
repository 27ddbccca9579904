// The program on a terminal, and runs that are recorded and replayed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "support/guest_process.h"
#include "support/host.h"
#include "support/on_terminal.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using Stream = ChildProcess::Stream;

class Terminal : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_pseudo_terminals()); }
};

std::vector<std::string> command(const char* guest, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {RINGSIDE_PROGRAM, "-e", engine(), GuestImage(guest).path()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_F(Terminal, CtrlAXEndsTheMachineAndGivesTheTerminalBack) {
  OnTerminal program(command("counters"));
  program.await("\n0");
  EXPECT_FALSE(program.restored());
  program.type("\x01x");
  const int status = program.await_end();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_TRUE(program.restored());
}

TEST_F(Terminal, CtrlAXIsSeenBehindAnyNumberOfKeysThatTheGuestDoesNotTake) {
  OnTerminal program(command("counters"));
  program.await("\n0");
  const std::string keys(1000, 'k');
  for (unsigned i = 0; i < 300; i++)
    program.type(keys);
  program.await("beyond 256 KiB they are lost");
  program.type("\x01x");
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 1);
  EXPECT_TRUE(program.restored());
}

// Ctrl-S, a terminal emulator that is stopped: nobody takes what the program writes.
TEST_F(Terminal, MayBePausedWhileADebuggerIsAtWork) {
  const GuestImage image("chatter");
  OnTerminal program({RINGSIDE_PROGRAM, "-e", engine(), "-G", "0", image.path()});
  constexpr std::string_view kListening = "gdb: listening on 127.0.0.1:";
  program.await(kListening);
  program.await("line ");
  const std::size_t at = program.seen().find(kListening) + kListening.size();
  const auto port = static_cast<std::uint16_t>(std::stoul(program.seen().substr(at)));
  std::uint64_t before = 0;
  const Deadline deadline(std::chrono::seconds(60));
  for (unsigned same = 0; same < 50;) {
    ASSERT_FALSE(deadline.passed());
    DebugClient client(port);
    client.request("?");
    const std::uint64_t lines = client.read_u64(image["lines"]);
    client.detach();
    same = lines == before && lines > 1000 ? same + 1 : 0;
    before = lines;
  }
  program.signal(SIGTERM);
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 4);
  EXPECT_TRUE(program.restored());
}

TEST_F(Terminal, CtrlCBelongsToTheGuest) {
  OnTerminal program(command("end_power_off"));
  program.await("\nr");
  program.type("\x03");  // to the guest, which ends at any key
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 1);
  EXPECT_TRUE(program.restored());
}

TEST_F(Terminal, SignalsGiveTheTerminalBack) {
  for (const int number : {SIGTERM, SIGHUP, SIGINT}) {
    OnTerminal program(command("counters"));
    program.await("\n0");
    program.signal(number);
    const int status = program.await_end();
    EXPECT_TRUE(WIFEXITED(status)) << number;
    EXPECT_EQ(WEXITSTATUS(status), 4) << number;
    EXPECT_TRUE(program.restored()) << number;
  }
  for (const int number : {SIGSEGV, SIGABRT, SIGQUIT}) {
    OnTerminal program(command("counters"));
    program.await("\n0");
    program.signal(number);
    const int status = program.await_end();
    EXPECT_TRUE(WIFSIGNALED(status)) << number;
    EXPECT_TRUE(program.restored()) << number;
  }
}

constexpr const char* kWholeScrolls = "\x1b[r";

TEST_F(Terminal, SignalsGiveAllOfADrawnOnTerminalBack) {
  for (const int number : {SIGTERM, SIGSEGV}) {
    OnTerminal program(command("screen", {"--vga", "text"}));
    program.await("text 437");
    program.signal(number);
    program.await(kWholeScrolls);
    program.await_end();
    EXPECT_TRUE(program.restored()) << number;
  }
}

TEST_F(Terminal, IsAnothersWhileTheProgramIsStopped) {
  OnTerminal program(command("screen", {"--vga", "text"}));
  program.await("text 437");
  program.signal(SIGTSTP);
  program.await_stop();
  EXPECT_TRUE(program.restored());
  program.await(kWholeScrolls);
  program.forget();
  program.signal(SIGCONT);
  program.await("text 437");  // drawn anew
  EXPECT_FALSE(program.restored());
  program.type("\x01x");
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 1);
  EXPECT_TRUE(program.restored());
}

TEST_F(Terminal, ShowsAsMuchOfTheScreenAsItHasRoomFor) {
  OnTerminal program(command("screen", {"--vga", "text"}));
  program.await("\x1b[2J\x1b[27r");
  program.await("text 437");
  program.resize(24, 80);
  program.await("\x1b[2J\x1b[23r");
  program.resize(10, 6);
  program.await("\x1b[2J\x1b[9r");
  program.await("text 4\x1b[");
}

TEST(Replay, ARecordedRunIsTheSameRun) {
  if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  const std::string path = ::testing::TempDir() + "ringside-journal-" + std::to_string(::getpid());
  const auto last_count = [](ChildProcess& process) {
    const std::string& text = process.text(Stream::Error);
    const std::size_t at = text.find("ringside: info: ");
    return at == std::string::npos ? "no count: " + text : text.substr(at);
  };
  std::vector<std::string> words = command("end_power_off");
  words.insert(words.end(), {"--log", "info", "--record", path});
  std::string recorded;
  {
    ChildProcess process(words);
    process.await(Stream::Output, "r");
    process.write_input("x");
    EXPECT_EQ(process.await_exit(), 1);
    recorded = last_count(process);
    EXPECT_THAT(recorded, HasSubstr("instructions"));
  }
  words[words.size() - 2] = "--replay";
  {
    ChildProcess process(words);
    process.close_input();
    EXPECT_EQ(process.await_exit(), 1);
    EXPECT_EQ(last_count(process), recorded);
  }
  words[3] = GuestImage("end_reboot").path();
  ChildProcess other(words);
  EXPECT_EQ(other.await_exit(), 4);
  EXPECT_THAT(other.text(Stream::Error), HasSubstr("belongs to another run"));
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace ringside::testing
