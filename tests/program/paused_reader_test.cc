// Whoever reads the guest's output stops reading: a paused terminal, a pager. The guest waits, and
// everything else goes on.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <regex>
#include <stdexcept>

#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Stream = ChildProcess::Stream;

constexpr std::size_t kLine = 71;  // of tests/guests/chatter.c
constexpr std::uint64_t kPipe = 64u << 10, kBuffer = 64u << 10;

// Lets the guest talk until it waits for the reader and executes nothing: the number of lines then.
std::uint64_t await_silence(GuestProcess& guest) {
  const Deadline deadline(std::chrono::seconds(60));
  std::string before;
  for (unsigned same = 0;;) {
    DebugClient client = guest.attach();
    client.select(0);
    const std::string registers = client.request("g");
    const std::uint64_t lines = client.read_u64(guest["lines"]);
    client.detach();
    same = registers == before ? same + 1 : 0;
    before = registers;
    // A pipe's pages may be half full.
    if (same >= 50 && lines * 2 * kLine >= kBuffer + kPipe / 2) return lines;
    if (deadline.passed()) throw std::runtime_error("the guest goes on and on");
  }
}

class PausedReader : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(GetParam())); }
  static GuestOptions options(unsigned cpus) {
    GuestOptions result;
    result.cpus = cpus;
    result.arguments = {"--debugcon", "stdio"};
    result.on_engine = GetParam();
    return result;
  }
};

TEST_P(PausedReader, LeavesTheDebuggerInCharge) {
  GuestProcess guest("chatter", options(2));
  {
    DebugClient client = guest.attach();
    client.detach();
  }
  const std::uint64_t lines = await_silence(guest);
  EXPECT_LE(lines * 2 * kLine, kPipe + kBuffer + 3 * kLine);

  guest.process().write_input("typed");
  DebugClient client = guest.attach();
  EXPECT_EQ(client.threads().size(), 2u);
  client.resume();
  client.stop();
  EXPECT_EQ(client.read(guest["line"], 5), "line ");
  EXPECT_EQ(client.read_u64(guest["lines"]), lines);
  // The other vCPU has nothing to say.
  client.send("vCont;s:2");
  client.await_stop();
  client.send("vCont;r" + hex_number(guest["vcpu_main"]) + "," +
              hex_number(guest["vcpu_main"] + 1) + ":2");
  client.await_stop();
  // The one that waits is interrupted in its step.
  client.send("vCont;s:1");
  client.stop();
  // And completes it, and nothing more, when somebody reads: OUT, or one round of REP OUTSB.
  client.select(0);
  // A KVM that interprets ring 0 has moved RIP behind OUT while its byte still waits. The one
  // instruction of the step is then the next one, of four bytes at most in that loop.
  const std::uint64_t here = client.rip();
  const bool behind_out = client.read(here - 1, 1) == "\xee";
  // There was room for a last byte yet, and the step did not wait: it went to where the loop asks
  // the port whether it is ready.
  const bool did_not_wait = client.read(here - 1, 1) == "\xec";
  client.send("vCont;s:1");
  guest.process().text(Stream::Output);
  client.await_stop();
  if (behind_out || did_not_wait) {
    EXPECT_LE(client.rip() - here, 4u);
  } else {
    // OUT has one byte and REP OUTSB two; the latter is left behind by its last round only, or by
    // several at once on a KVM that interprets ring 0.
    const std::uint64_t length = client.read(here, 1) == "\xf3" ? 2 : 1;
    EXPECT_THAT(client.rip(), AnyOf(here, here + length));
  }
  client.detach();

  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_unread_exit(), 4);
}

// The instruction that waits is given up by whoever sends its vCPU elsewhere.
TEST_P(PausedReader, IsNotWaitedForWhereRipIsWritten) {
  GuestProcess guest("chatter", options(1));
  guest.attach().detach();
  for (const bool all : {false, true}) {
    await_silence(guest);
    DebugClient client = guest.attach();
    const Registers before = client.registers();
    const std::string there = hex(little_endian(guest["vcpu_main"], 8));
    std::string registers = client.request("g");
    registers.replace(16 * 16, 16, there);
    ASSERT_EQ(client.request(all ? "G" + registers : "P10=" + there), "OK");
    const Registers moved = client.registers();
    EXPECT_EQ(moved.rip(), guest["vcpu_main"]);
    for (const auto r : {kRax, kRbx, kRcx, kRdx, kRsi, kRdi, kRbp, kRsp})
      EXPECT_EQ(moved[r], before[r]) << r;
    client.step();
    EXPECT_GT(client.rip(), guest["vcpu_main"]);
    EXPECT_LT(client.rip(), guest["vcpu_main"] + 15);
    // Back to where it stood, to wait again.
    for (const auto r : {kRax, kRbx, kRcx, kRdx, kRsi, kRdi, kRbp, kRsp, kRip})
      ASSERT_EQ(client.request("P" + hex_number(r) + "=" + hex(little_endian(before[r], 8))), "OK");
    client.detach();
  }

  // Nothing that was executed is lost, and nothing is there twice.
  const std::string& text = guest.process().text_so_far(Stream::Output);
  const std::uint64_t said = guest.attach().read_u64(guest["lines"]);
  while (text.size() < (said + 2) * 2 * kLine)
    guest.process().await_more(Stream::Output);
  for (std::uint64_t i = 0; i < 2 * (said + 1); ++i)
    ASSERT_EQ(text.substr(i * kLine, 21), fmt::format("line {:016x}", i / 2)) << i;
  guest.process().kill(SIGTERM);
  EXPECT_EQ(guest.process().await_unread_exit(), 4);
}

// What became of a guest that ends by itself.
struct Outcome {
  int status;
  std::string output, state;
};
Outcome outcome(ChildProcess& process) {
  const int status = process.await_exit(Deadline(std::chrono::seconds(60)));
  std::smatch found;
  std::regex_search(process.text(Stream::Error), found, std::regex("state: .*"));
  return {status, process.text(Stream::Output), found.str()};
}

TEST(SlowReader, SeesTheSameRun) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  GuestOptions options;
  options.arguments = {"--debugcon", "stdio", "--log", "debug"};
  GuestProcess quick("speech", options);
  quick.attach().detach();
  const Outcome expected = outcome(quick.process());
  EXPECT_EQ(expected.status, 1);
  EXPECT_EQ(expected.output.size(), 3000 * 2 * kLine);
  EXPECT_THAT(expected.state, MatchesRegex("state: [0-9]+ instructions, hash [0-9a-f]{16}"));

  GuestProcess slow("speech", options);
  slow.attach().detach();
  for (unsigned pause = 0; pause < 3; ++pause) {
    const std::uint64_t said = await_silence(slow) * 2 * kLine;
    const std::size_t read = slow.process().text_so_far(Stream::Output).size();
    EXPECT_LE(said, read + kPipe + kBuffer + 2 * kLine);
    slow.process().await_more(Stream::Output);
  }
  const Outcome seen = outcome(slow.process());
  EXPECT_EQ(seen.status, expected.status);
  EXPECT_EQ(seen.state, expected.state);
  EXPECT_TRUE(seen.output == expected.output);
}

TEST(SlowReader, MayTypeWhileTheGuestWaitsAndReplayIt) {
  if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  const std::string journal =
      ::testing::TempDir() + "ringside-paused-" + std::to_string(::getpid());
  Outcome recorded;
  {
    GuestOptions options;
    options.arguments = {"--debugcon", "stdio", "--record", journal};
    GuestProcess guest("speech", options);
    guest.attach().detach();
    await_silence(guest);
    guest.process().write_input("a");
    await_silence(guest);
    recorded = outcome(guest.process());
  }
  EXPECT_EQ(recorded.status, 1);
  EXPECT_THAT(recorded.state, MatchesRegex("state: .* hash [0-9a-f]{16}"));
  ChildProcess replay({RINGSIDE_PROGRAM, "-e", "soft", "-m", "32M", "--debugcon", "stdio",
                       "--replay", journal, GuestImage("speech").path()});
  const Outcome replayed = outcome(replay);
  EXPECT_EQ(replayed.status, 1) << replay.text(Stream::Error);
  EXPECT_EQ(replayed.state, recorded.state);
  EXPECT_TRUE(replayed.output == recorded.output);
  std::ifstream lines(journal);
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(lines), {}), HasSubstr("serial0 61"));
  ::unlink(journal.c_str());
}

INSTANTIATE_TEST_SUITE_P(Engines, PausedReader, ::testing::Values("soft", "kvm"),
                         [](const auto& chosen) { return std::string(chosen.param); });

}  // namespace
}  // namespace ringside::testing
