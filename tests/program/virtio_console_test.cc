// The virtio console and the entropy device in the whole program: whoever is at the other end of
// the console, and runs that are the same again although the numbers are the host's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <set>
#include <stdexcept>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"
#include "support/on_terminal.h"
#include "support/raw_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;
using Stream = ChildProcess::Stream;
using Start = GuestOptions::Start;

constexpr std::size_t kTalk = 64u << 12;  // of tests/guests/console.c

class VirtioConsoleInProgram : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(engine())); }
  static GuestOptions options(std::vector<std::string> arguments,
                              Start start = Start::WithoutDebug) {
    return {.start = start, .arguments = std::move(arguments)};
  }
  static std::string console_of(ChildProcess& process, std::size_t size) {
    while (process.text(Stream::Output).size() < size)
      process.await_more(Stream::Output);
    return process.text(Stream::Output);
  }
  static std::string state_of(ChildProcess& process) {
    const std::string& error = process.text(Stream::Error);
    const std::size_t at = error.find("state: ");
    return at == std::string::npos ? error : error.substr(at, error.find('\n', at) - at);
  }
  // Lets the guest talk until it waits for the reader: how many pages it has said then.
  static std::uint64_t await_silence(GuestProcess& guest) {
    const Deadline deadline(std::chrono::seconds(60));
    std::uint64_t said = 0;
    for (unsigned same = 0; same < 50;) {
      if (deadline.passed()) throw std::runtime_error("the guest goes on and on");
      DebugClient client = guest.attach();
      const std::uint64_t now = client.read_u64(guest["pages_said"]);
      client.detach();
      same = now == said && now != 0 ? same + 1 : 0;
      said = now;
    }
    return said;
  }
  // Types more when there is an answer to what was typed.
  static void converse(ChildProcess& process) {
    process.write_input("a");
    console_of(process, 1);
    process.write_input("r");
    process.await(Stream::Output, "\n");
    process.write_input("brr");
    console_of(process, 1 + 17 + 1 + 2 * 17);
    process.write_input("q");
  }

  const TemporaryFolder folder_;
};

TEST_F(VirtioConsoleInProgram, SaysWhatIsTypedAndNumbersOfTheHost) {
  GuestProcess guest("console", options({"--console", "stdio", "--rng", "host"}));
  converse(guest.process());
  EXPECT_EQ(guest.process().await_exit(), 1) << guest.process().text(Stream::Error);
  EXPECT_THAT(guest.process().text(Stream::Output),
              MatchesRegex("a[0-9a-f]{16}\nb[0-9a-f]{16}\n[0-9a-f]{16}\n"));
}

TEST_F(VirtioConsoleInProgram, IsRepeatedWithTheNumbersOfTheRecording) {
  if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  const std::string journal = folder_ / "journal";
  std::set<std::string> outputs;
  for (unsigned run = 0; run < 2; ++run) {
    GuestProcess recorded("console",
                          options({"--console", "stdio", "--rng", "host", "--record", journal}));
    converse(recorded.process());
    ASSERT_EQ(recorded.process().await_exit(), 1) << recorded.process().text(Stream::Error);
    GuestProcess again("console",
                       options({"--console", "stdio", "--rng", "host", "--replay", journal}));
    again.process().close_input();
    EXPECT_EQ(again.process().await_exit(), 1) << again.process().text(Stream::Error);
    EXPECT_EQ(again.process().text(Stream::Output), recorded.process().text(Stream::Output));
    EXPECT_THAT(state_of(again.process()), StartsWith("state: "));
    EXPECT_EQ(state_of(again.process()), state_of(recorded.process()));
    outputs.insert(recorded.process().text(Stream::Output));
  }
  EXPECT_EQ(outputs.size(), 2u) << "numbers of the host are never the same";
  // Without one of the devices it is another machine.
  for (const std::vector<std::string>& fewer :
       {std::vector<std::string>{"--console", "stdio"}, {"--rng", "host", "-s", "none"}}) {
    GuestOptions other = options({"--replay", journal});
    other.arguments.insert(other.arguments.end(), fewer.begin(), fewer.end());
    GuestProcess refused("console", other);
    EXPECT_EQ(refused.process().await_exit(), 4);
    EXPECT_THAT(refused.process().text(Stream::Error), HasSubstr("belongs to another run"));
  }
}

// The past has the numbers that it had, and the host is not asked again.
TEST_F(VirtioConsoleInProgram, GoesBackToTheSameNumbers) {
  if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  GuestProcess held("console", options({"--console", "stdio", "--rng", "host"}, Start::Held));
  DebugClient client = held.attach();
  client.request("qSupported:swbreak+");
  held.process().write_input("r");
  client.run_to(held["say_number"]);
  const std::uint64_t start = client.rip();
  client.run_to(held["say"]);
  const std::string numbers = client.read(held["bytes"], 8);
  EXPECT_NE(numbers, std::string(8, '\0'));
  const std::string said = held.process().text(Stream::Output);
  ASSERT_EQ(client.request("Z0," + hex_number(start) + ",1"), "OK");
  client.send("bc");
  client.await_stop();
  EXPECT_EQ(client.rip(), start);
  EXPECT_EQ(client.read(held["bytes"], 8), std::string(8, '\0'));
  client.request("z0," + hex_number(start) + ",1");
  client.run_to(held["say"]);
  EXPECT_EQ(client.read(held["bytes"], 8), numbers);
  EXPECT_EQ(held.process().text(Stream::Output), said);
  client.detach();
  held.process().write_input("q");
  EXPECT_EQ(held.process().await_exit(), 1) << held.process().text(Stream::Error);
  EXPECT_THAT(held.process().text(Stream::Output), MatchesRegex("[0-9a-f]{16}\n"));
}

// The guest waits, and everything else goes on.
TEST_F(VirtioConsoleInProgram, WaitsForAReaderWhoPauses) {
  GuestProcess guest("console", options({"--console", "stdio"}, Start::Running));
  guest.process().write_input("t");
  EXPECT_LT(await_silence(guest) << 12, (64u << 10) + (64u << 10) + (16u << 10))
      << "a pipe and our buffer";
  EXPECT_EQ(console_of(guest.process(), kTalk).size(), kTalk);
  guest.process().write_input("t");
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_unread_exit(), 4);
}

TEST_F(VirtioConsoleInProgram, IsTheSameRunForASlowReader) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  const std::string journal = folder_ / "journal";
  GuestOptions given = options({"--console", "stdio", "--record", journal}, Start::Running);
  std::string expected, output;
  {
    GuestProcess slow("console", given);
    slow.process().write_input("ttq");
    await_silence(slow);
    ASSERT_EQ(slow.process().await_exit(), 1) << slow.process().text(Stream::Error);
    expected = state_of(slow.process());
    output = slow.process().text(Stream::Output);
    EXPECT_EQ(output.size(), 2 * kTalk);
  }
  EXPECT_THAT(expected, StartsWith("state: "));
  given = options({"--console", "stdio", "--replay", journal});
  GuestProcess quick("console", given);
  EXPECT_EQ(quick.process().await_exit(), 1) << quick.process().text(Stream::Error);
  EXPECT_EQ(state_of(quick.process()), expected);
  EXPECT_TRUE(quick.process().text(Stream::Output) == output);
  // And where the replay's reader pauses.
  given.start = Start::Running;
  GuestProcess late("console", given);
  await_silence(late);
  EXPECT_EQ(late.process().await_exit(), 1) << late.process().text(Stream::Error);
  EXPECT_EQ(state_of(late.process()), expected);
}

TEST_F(VirtioConsoleInProgram, ServesOneClientAfterTheOther) {
  const std::string socket = folder_ / "socket";
  GuestProcess guest("console", options({"--console", "unix:" + socket, "-s", "none"}));
  guest.process().await(Stream::Error, "console: listening on unix:" + socket);
  for (const std::string text : {"first", "second", "third"}) {
    RawClient client(socket);
    std::string answer;
    for (const char c : text) {
      if (c == 't' || c == 'r') continue;  // a command
      client.send_bytes(std::string(1, c));
      answer += client.receive_byte();
      EXPECT_EQ(answer.back(), c);
    }
  }
  // One that reads nothing holds nobody up.
  RawClient client(socket);
  client.send_bytes("ttttttttq");
  EXPECT_EQ(guest.process().await_exit(Deadline(std::chrono::seconds(60))), 1);
}

// A full disk is told of once, and the guest goes on.
TEST_F(VirtioConsoleInProgram, WritesAFileAsFarAsThereIsRoom) {
  const std::string path = folder_ / "said";
  for (const std::string& where : {path, std::string("/dev/full")}) {
    GuestProcess guest("console",
                       options({"--console", "file:" + where, "-s", "none"}, Start::Held));
    DebugClient client = guest.attach();
    EXPECT_THAT(monitor(client, "info qtree"), HasSubstr("virtio console"));
    // Nobody can type there, so the guest is sent to where it talks when it waits for that.
    client.run_to(guest["await"]);
    client.request("P10=" + hex(little_endian(guest["talk"], 8)));
    client.detach();
    for (std::uint64_t pages = 0; pages < kTalk >> 12;)
      pages = await_change(guest, guest["pages_said"], pages);
    guest.process().kill(SIGTERM);
    EXPECT_EQ(guest.process().await_exit(), 4);
    EXPECT_EQ(
        guest.process().text(Stream::Error).find("guest output is dropped") != std::string::npos,
        where != path);
  }
  EXPECT_GE(std::filesystem::file_size(path), kTalk);
}

TEST_F(VirtioConsoleInProgram, IsSavedAndGoesOn) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  const std::string saved = folder_ / "saved";
  {
    GuestProcess guest("console",
                       options({"--console", "stdio", "--rng", "host", "--save", saved}));
    guest.process().write_input("a");
    console_of(guest.process(), 1);
    guest.process().kill(SIGTERM);
    EXPECT_EQ(guest.process().await_exit(), 4);
    EXPECT_THAT(guest.process().text(Stream::Error), HasSubstr("is written"));
  }
  ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved, "--console", "stdio"});
  restored.write_input("brq");
  EXPECT_EQ(restored.await_exit(), 1) << restored.text(Stream::Error);
  EXPECT_THAT(restored.text(Stream::Output), MatchesRegex("b[0-9a-f]{16}\n"));
  // The devices are there whether they are named or not, and no others can be added.
  ChildProcess silent({RINGSIDE_PROGRAM, "--restore", saved, "-s", "none", "-G", "w0"});
  silent.await(Stream::Error, "gdb: listening");
  silent.kill(SIGTERM);
  EXPECT_EQ(silent.await_exit(), 4);
}

TEST_F(VirtioConsoleInProgram, CannotBeAddedToASavedMachine) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  const std::string saved = folder_ / "saved";
  GuestProcess guest("counters", options({"--save", saved}));
  guest.await_said_numbers(1);
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_exit(), 4);
  for (const auto& [option, value] : {std::pair("--console", "stdio"), {"--rng", "host"}}) {
    ChildProcess restored({RINGSIDE_PROGRAM, "--restore", saved, option, value});
    EXPECT_EQ(restored.await_exit(), 4);
    EXPECT_EQ(restored.text(Stream::Error),
              std::string("ringside: ") + option +
                  ": the saved machine was started without it, and has no such device\n");
  }
}

TEST_F(VirtioConsoleInProgram, IsLeftByCtrlA) {
  OnTerminal program({RINGSIDE_PROGRAM, "-e", engine(), "-m", "32M", "--virtio", "mmio",
                      "--console", "stdio", GuestImage("console").path()});
  program.type("z");
  program.await("z");
  program.type("\x01\x01");  // the second one is the guest's
  program.await("\x01");
  program.type("\x01x");
  EXPECT_EQ(WEXITSTATUS(program.await_end()), 1);
  EXPECT_TRUE(program.restored());
}

}  // namespace
}  // namespace ringside::testing
