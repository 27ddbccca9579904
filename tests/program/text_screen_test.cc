// The guest's text screen and keyboard in the whole program: what is drawn, what is typed, the same
// in a replay, in the past and in a saved machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"
#include "support/raw_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;
using Start = GuestOptions::Start;

constexpr const char* kText = "text 437 ☺█\n";

class TextScreen : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(engine())); }
  static GuestOptions options(std::vector<std::string> more = {}, Start start = Start::Running) {
    std::vector<std::string> arguments = {"--vga", "text"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return {.start = start, .arguments = std::move(arguments)};
  }
  static std::string line(ChildProcess& process, std::string_view beginning) {
    const std::string& error = process.text(Stream::Error);
    const std::size_t at = error.find(beginning);
    return at == std::string::npos ? error : error.substr(at, error.find('\n', at) - at);
  }
  // Types, and waits until the guest has had as many scan codes.
  static void type(GuestProcess& guest, std::string_view keys, std::uint64_t codes) {
    guest.process().write_input(keys);
    const Deadline deadline;
    for (std::uint64_t had = 0; had < codes;) {
      ASSERT_FALSE(deadline.passed()) << had;
      DebugClient client = guest.attach();
      had = client.read_u64(guest["scan_codes"]) & 0xffffffff;
      client.detach();
    }
  }
  static void shows_what_is_typed(std::string_view name);
  static std::string screen(GuestProcess& guest) {
    DebugClient client = guest.attach();
    std::string text = monitor(client, "info screen");
    client.detach();
    return text;
  }

  const TemporaryFolder folder_;
};

void TextScreen::shows_what_is_typed(std::string_view name) {
  GuestProcess guest(name, options());
  type(guest, "aB", 6);
  EXPECT_THAT(screen(guest), StartsWith(std::string(kText) + "1e 9e 2a 30 b0 aa\n"));
  // Cells alone are drawn, each where it is: the first in yellow on blue.
  guest.process().await(Stream::Output, "\x1b[1;1H\x1b[0;93;44mtext 437 ☺█");
  type(guest, "\x03", 10);
  EXPECT_THAT(screen(guest), StartsWith("1e 9e 2a 30 b0 aa 1d 2e ae 9d\n"))
      << "the guest has scrolled";
  guest.process().write_input("\x1b");
  EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
  EXPECT_TRUE(guest.process()
                  .text(Stream::Output)
                  .ends_with("\x1b[0m\x1b"
                             "7\x1b[r\x1b"
                             "8"))
      << "the terminal is given back";
}

TEST_F(TextScreen, ShowsWhatTheGuestWritesAndWhatIsTyped) { shows_what_is_typed("screen"); }

// The guest sleeps until the keyboard interrupts it.
TEST_F(TextScreen, ShowsWhatIsTypedToAGuestThatSleeps) { shows_what_is_typed("screen_woken"); }

TEST_F(TextScreen, IsRepeatedFromTheJournal) {
  if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  const std::string journal = folder_ / "journal";
  GuestProcess recorded("screen", options({"--record", journal}));
  type(recorded, "abc", 6);
  recorded.process().write_input("\x1b");
  EXPECT_EQ(recorded.process().await_exit(), 1);
  GuestProcess again("screen", options({"--replay", journal}, Start::WithoutDebug));
  EXPECT_EQ(again.process().await_exit(), 1) << again.process().text(Stream::Error);
  EXPECT_THAT(line(again.process(), "state: "), StartsWith("state: "));
  EXPECT_EQ(line(again.process(), "state: "), line(recorded.process(), "state: "));
  EXPECT_THAT(again.process().text(Stream::Output), HasSubstr("text 437"));
  GuestProcess other("screen", {.start = Start::WithoutDebug, .arguments = {"--replay", journal}});
  EXPECT_EQ(other.process().await_exit(), 4);
  EXPECT_THAT(other.process().text(Stream::Error), HasSubstr("belongs to another run"));
}

TEST_F(TextScreen, IsSavedWithTheMachine) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  const std::string saved = folder_ / "saved";
  GuestProcess guest("screen", options({"--files", folder_.path()}));
  type(guest, "a", 2);
  DebugClient client = guest.attach();
  EXPECT_THAT(monitor(client, "save saved"), HasSubstr("saved"));
  client.detach();
  ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved, "--vga", "text"});
  restored.write_input("b\x1b");
  EXPECT_EQ(restored.await_exit(), 1) << restored.text(Stream::Error);
  EXPECT_THAT(restored.text(Stream::Output), HasSubstr("1e 9e"));
  EXPECT_THAT(restored.text(Stream::Output), HasSubstr("30 b0"));
}

TEST_F(TextScreen, ShowsThePastInThePast) {
  if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  GuestProcess guest("screen", options({}, Start::Held));
  DebugClient client = guest.attach();
  EXPECT_THAT(monitor(client, "info screen"), StartsWith("\n\n"));
  guest.process().write_input("a");
  client.run_to(guest["put"]);
  const std::string now = monitor(client, "info screen");
  EXPECT_THAT(now, StartsWith(kText));
  EXPECT_THAT(monitor(client, "goto start"), HasSubstr("at 0"));
  EXPECT_THAT(monitor(client, "info screen"), StartsWith("\n\n"));
  EXPECT_THAT(monitor(client, "goto present"), HasSubstr("at "));
  EXPECT_EQ(monitor(client, "info screen"), now);
  client.detach();
  guest.process().write_input("\x1b");
  EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
}

TEST_F(TextScreen, IsMissedOnceByAGuestThatWritesToIt) {
  GuestProcess guest("screen", {.start = Start::Running, .arguments = {}});
  const std::string hint = guest.process().await_line(Stream::Error, "guest: it writes");
  EXPECT_THAT(hint, HasSubstr("--vga text"));
  EXPECT_THAT(screen(guest), HasSubstr("--vga text gives it one"));
}

TEST_F(TextScreen, HasTheTerminalToItself) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"-s", "stdio"}, {"--debugcon", "stdio"}, {"-g", "stdio"}}) {
    GuestProcess guest("screen", options(more, Start::WithoutDebug));
    EXPECT_EQ(guest.process().await_exit(), 4);
    EXPECT_THAT(guest.process().text(Stream::Error), HasSubstr("cannot both use stdio"));
  }
}

}  // namespace
}  // namespace ringside::testing
