// The same guest in the same state, whoever looks at it: `monitor hash`, the hash at the end of a
// run, and what --replay makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <regex>
#include <set>

#include "support/guest_process.h"

namespace ringside::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using Stream = ChildProcess::Stream;

std::string hash_of(DebugClient& client) { return unhex(client.request("qRcmd," + hex("hash"))); }

// Reads what a debugger shows after a stop, and steps: some instructions, then to the next
// interrupt.
void look_around(DebugClient& client, const GuestProcess& guest, std::uint64_t steps) {
  client.registers();
  client.read(guest["sled"], 64);
  ASSERT_EQ(client.request("Qqemu.sstep=1"), "OK");  // a step takes the interrupts that are due
  // Beside the handler's own data, and never met.
  const std::string watch = "2," + hex_number(guest["ticks"] + 64) + ",8";
  ASSERT_EQ(client.request("Z" + watch), "OK");
  for (; steps > 0; --steps)
    client.step();
  ASSERT_EQ(client.request("z" + watch), "OK");
  if (client.rip() >= guest["sled"] && client.rip() < guest["handler"]) {
    client.send("vCont;r" + hex_number(guest["sled"]) + "," + hex_number(guest["handler"]) + ":1");
    client.await_stop();
    EXPECT_EQ(client.rip(), guest["handler"]);
  }
}

enum class Tracepoints { None, Record };

// In the handler with steps behind it, and where the guest is most of the time.
void trace(DebugClient& client, const GuestProcess& guest) {
  const std::string handler = hex_number(guest["handler"]), sled = hex_number(guest["sled"] + 7);
  for (const std::string& packet :
       {std::string("QTinit"), "QTDP:1:" + handler + ":E:28:0-", "QTDP:-1:" + handler + ":R1-",
        "QTDP:-1:" + handler + ":SR1", "QTDP:2:" + sled + ":E:5:0-", "QTDP:-2:" + sled + ":R1-",
        "QTDP:-2:" + sled + ":SM-1," + sled + ",40", std::string("QTBuffer:circular:1"),
        std::string("QTStart")})
    ASSERT_EQ(client.request(packet), "OK") << packet;
}

// The state of the "interrupts" guest at its n-th timer interrupt. A debugger may stop it in
// between, read, and step, also into interrupts.
std::string hash_at_interrupt(std::uint64_t interrupts, unsigned meddling,
                              Tracepoints tracepoints = Tracepoints::None) {
  GuestProcess guest("interrupts");
  DebugClient client = guest.attach();
  client.request("qSupported:swbreak+");
  if (tracepoints == Tracepoints::Record) trace(client, guest);
  client.insert(guest["handler"]);
  std::minstd_rand random(meddling);
  for (;;) {
    client.resume();
    if (meddling != 0 && random() % 4 == 0) client.interrupt();
    const bool at_handler = client.await_stop().swbreak;
    const std::uint64_t ticks = client.read_u64(guest["ticks"]);
    if (at_handler && ticks == interrupts) return hash_of(client);
    if (meddling != 0 && ticks + 2 < interrupts) look_around(client, guest, random() % 40);
  }
}

TEST(Determinism, ADebuggerThatLooksAndStepsChangesNothing) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  const std::string expected = hash_at_interrupt(40, 0);
  EXPECT_THAT(expected, MatchesRegex("[0-9]+ instructions, hash [0-9a-f]{16}\n"));
  for (const unsigned meddling : {0u, 1u, 2u, 3u})
    EXPECT_EQ(hash_at_interrupt(40, meddling), expected) << meddling;
}

TEST(Determinism, TracepointsChangeNothing) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  const std::string expected = hash_at_interrupt(40, 0);
  EXPECT_EQ(hash_at_interrupt(40, 0, Tracepoints::Record), expected);
  EXPECT_EQ(hash_at_interrupt(40, 1, Tracepoints::Record), expected);
}

// Two vCPUs that take turns, with steps after hits of both: at the first vCPU's 20,000th tick.
std::string hash_at_tick(Tracepoints tracepoints) {
  GuestProcess guest("counters", {.cpus = 2});
  DebugClient client = guest.attach();
  client.request("qSupported:swbreak+");
  const std::string tick = hex_number(guest["tick"]), loop = hex_number(guest["entry_of_loop"]);
  if (tracepoints == Tracepoints::Record) {
    for (const std::string& packet :
         {std::string("QTinit"), "QTDP:1:" + loop + ":E:3:0-", "QTDP:-1:" + loop + ":R1-",
          "QTDP:-1:" + loop + ":SR1", "QTDP:2:" + tick + ":E:0:0-", "QTDP:-2:" + tick + ":R1",
          std::string("QTBuffer:circular:1"), std::string("QTStart")})
      EXPECT_EQ(client.request(packet), "OK") << packet;
  }
  // const32 counters, ref64, const16 20000, equal, end.
  const std::string counters = hex_number(guest["counters"]);
  client.request("Z0," + tick + ",1;Xb,24" + std::string(8 - counters.size(), '0') + counters +
                 "1a234e201327");
  client.resume();
  EXPECT_TRUE(client.await_stop().swbreak);
  EXPECT_EQ(client.read_u64(guest["counters"]), 20000u);
  return hash_of(client);
}

TEST(Determinism, TracepointsOfTwoVcpusChangeNothing) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  EXPECT_EQ(hash_at_tick(Tracepoints::Record), hash_at_tick(Tracepoints::None));
}

TEST(Determinism, AHashSeesOneBit) {
  if (engine() != "soft") GTEST_SKIP() << "only the software CPU is deterministic";
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::string before = hash_of(client);
  EXPECT_EQ(hash_of(client), before);
  const std::uint64_t address = guest["counters"];
  client.write_u8(address, 1);
  EXPECT_NE(hash_of(client), before);
  client.write_u8(address, 0);
  EXPECT_EQ(hash_of(client), before);
  client.request("P0=" + hex(little_endian(0x1234, 8)));
  EXPECT_NE(hash_of(client), before);
}

class Journal : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  struct Outcome {
    int status;
    std::string state;  // the line with the hash
    std::string error;
    std::string output;  // of the guest
  };
  std::vector<std::string> command(const char* option, const char* guest = "end_power_off") const {
    return {RINGSIDE_PROGRAM, "-e", "soft", "-m", "16M", option, path_, GuestImage(guest).path()};
  }
  static Outcome outcome(ChildProcess& process) {
    const int status = process.await_exit();
    const std::string error = process.text(Stream::Error);
    std::smatch found;
    std::regex_search(error, found, std::regex("state: .*"));
    return {status, found.str(), error, process.text(Stream::Output)};
  }
  // The guest ends at a key.
  Outcome record() {
    ChildProcess process(command("--record"));
    process.await(Stream::Output, "r");
    process.write_input("x");
    return outcome(process);
  }
  Outcome replay() {
    ChildProcess process(command("--replay"));
    process.close_input();
    return outcome(process);
  }
  // The guest prints random numbers and ends by itself. --log debug shows the state in every run.
  Outcome random_numbers(const char* option, const std::string& path) {
    ChildProcess process(
        {RINGSIDE_PROGRAM, "-e", "soft", "-m", "16M", option, path, GuestImage("random").path()});
    process.close_input();
    Outcome end = outcome(process);
    EXPECT_THAT(end.output, MatchesRegex("([0-9a-f]{16}\n){4}")) << end.error;
    return end;
  }
  std::string journal() const {
    std::ifstream stream(path_);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  void rewrite(const std::string& pattern, const std::string& by) {
    const std::string text = std::regex_replace(journal(), std::regex(pattern), by);
    std::ofstream(path_) << text;
  }

  const std::string path_ =
      ::testing::TempDir() + "ringside-determinism-" + std::to_string(::getpid());
};

TEST_F(Journal, AReplayEndsInTheRecordedState) {
  const Outcome recorded = record();
  EXPECT_EQ(recorded.status, 1);
  EXPECT_THAT(recorded.state, MatchesRegex("state: [0-9]+ instructions, hash [0-9a-f]{16}"));
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 1) << replayed.error;
  EXPECT_EQ(replayed.state, recorded.state);
}

TEST_F(Journal, HasTheProcessorOfTheRun) {
  const auto run = [&](const char* option, std::vector<std::string> more) {
    std::vector<std::string> words = command(option);
    words.insert(words.begin() + 1, more.begin(), more.end());
    ChildProcess process(words);
    if (std::string_view(option) == "--record") {
      process.await(Stream::Output, "r");
      process.write_input("x");
    } else {
      process.close_input();
    }
    return outcome(process);
  };
  const Outcome recorded = run("--record", {"--cpu", "v3"});
  EXPECT_THAT(journal(), HasSubstr("\ncpu v3\n"));
  EXPECT_EQ(run("--replay", {}).state, recorded.state);
  EXPECT_EQ(run("--replay", {"--cpu", "v3"}).state, recorded.state);
  const Outcome other = run("--replay", {"--cpu", "v2"});
  EXPECT_EQ(other.status, 4);
  EXPECT_THAT(other.error, HasSubstr("the recorded run had v3"));
}

TEST_F(Journal, AReplayThatDiffersSaysSo) {
  record();
  rewrite("serial0 78", "serial0 79");  // another key: the same path, another state
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr("the replay differs from the recording"));
}

TEST_F(Journal, AReplayThatIsEndedBeforeItsEndIsNotCompared) {
  const std::string recorded = record().state;
  std::vector<std::string> held = command("--replay");
  held.insert(held.begin() + 1, {"-G", "w0"});
  ChildProcess process(held);
  process.await_line(Stream::Error, "gdb: listening on 127.0.0.1:");
  process.kill(SIGTERM);
  const Outcome replayed = outcome(process);
  EXPECT_EQ(replayed.status, 4);
  const std::string count = recorded.substr(0, recorded.find(" instructions")).substr(7);
  EXPECT_THAT(replayed.error,
              HasSubstr("ringside: ended by SIGTERM\nstate: 0 instructions, hash "));
  EXPECT_THAT(replayed.error, EndsWith("replay: ended after 0 of the recording's " + count +
                                       " instructions; what was compared before is as recorded\n"));
}

TEST_F(Journal, AReplayThatLeavesThePathSaysSo) {
  record();
  rewrite("[^\n]* serial0 [^\n]*\n", "");  // nobody ends it
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 4);
  EXPECT_THAT(replayed.error, HasSubstr("left the recorded path"));
}

TEST_F(Journal, ARecordingEndedFromOutsideEndsThereAgain) {
  Outcome recorded;
  {
    ChildProcess process(command("--record"));
    process.await(Stream::Output, "r");
    process.kill(SIGTERM);
    recorded = outcome(process);
  }
  EXPECT_EQ(recorded.status, 4);
  const Outcome replayed = replay();
  EXPECT_EQ(replayed.status, 1) << replayed.error;
  EXPECT_EQ(replayed.state, recorded.state);
  EXPECT_THAT(replayed.error, HasSubstr("the recording ends here"));
}

// The guest waits in the midst of an instruction, so that no instruction retires until a client
// comes.
TEST_F(Journal, AGuestThatWaitedForItsOwnDebuggerIsReplayed) {
  std::vector<std::string> recording = command("--record", "echo224");
  recording.insert(recording.end() - 1, {"-g", "0"});
  Outcome recorded;
  {
    ChildProcess process(recording);
    const std::string line =
        process.await_line(Stream::Error, "guest gdb: listening on 127.0.0.1:");
    process.await(Stream::Error, "the guest waits for a debugger");
    RawClient client(static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1))));
    client.send_bytes("a");
    EXPECT_EQ(client.receive_byte(), 'A');
    process.kill(SIGTERM);
    recorded = outcome(process);
  }
  std::vector<std::string> replaying = command("--replay", "echo224");
  replaying.insert(replaying.end() - 1, {"-g", "0"});
  ChildProcess process(replaying);
  process.close_input();
  const Outcome replayed = outcome(process);
  EXPECT_EQ(replayed.status, 1) << replayed.error;
  EXPECT_EQ(replayed.state, recorded.state);
}

TEST_F(Journal, RandomNumbersAreAlwaysTheSameWithoutOne) {
  const Outcome first = random_numbers("--log", "debug");
  EXPECT_EQ(first.status, 1);
  const Outcome second = random_numbers("--log", "debug");
  EXPECT_EQ(second.output, first.output);
  EXPECT_EQ(second.state, first.state);
  EXPECT_NE(first.state, "");
}

TEST_F(Journal, HasTheSeedOfTheRandomNumbers) {
  std::set<std::string> outputs{random_numbers("--log", "debug").output};
  for (unsigned recording = 1; recording <= 2; ++recording) {  // each has another seed
    const Outcome recorded = random_numbers("--record", path_);
    EXPECT_EQ(recorded.status, 1);
    outputs.insert(recorded.output);
    const Outcome replayed = random_numbers("--replay", path_);
    EXPECT_EQ(replayed.status, 1) << replayed.error;
    EXPECT_EQ(replayed.output, recorded.output);
    EXPECT_EQ(replayed.state, recorded.state);
    EXPECT_EQ(outputs.size(), recording + 1);
  }
  rewrite("\nseed [0-9a-f]{16}\n", "\nseed 0123456789abcdef\n");
  const Outcome other = random_numbers("--replay", path_);
  EXPECT_EQ(other.status, 4);
  EXPECT_THAT(other.error, HasSubstr("the replay differs from the recording"));
  EXPECT_EQ(outputs.count(other.output), 0u);
}

TEST_F(Journal, WithoutSeedOrOfAnotherVersionIsRefused) {
  record();
  const std::string good = journal();
  rewrite("\nseed [^\n]*\n", "\n");
  EXPECT_THAT(replay().error, HasSubstr("damaged at line 2"));
  std::ofstream(path_) << std::regex_replace(good, std::regex("^ringside-journal [0-9]+"),
                                             "ringside-journal 15");
  const Outcome old = replay();
  EXPECT_EQ(old.status, 4);
  EXPECT_THAT(old.error, HasSubstr("is of version 15 and was written by another version"));
}

}  // namespace
}  // namespace ringside::testing
