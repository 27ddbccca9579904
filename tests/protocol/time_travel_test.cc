// A real machine with a past, and the packets that lead it there and back: what GDB and LLDB send
// for their reverse commands, and what they must be told.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <regex>

#include <gmock/gmock.h>
#include "base/testing/temporary_folder.h"
#include "protocol/protocol_test.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::string kBegins =
    "replaylog:begin;description:" + hex("the past that is kept begins here") + ";";
const std::string kEnds = "replaylog:end;description:" + hex("the recorded run ends here") + ";";

class TimeTravel : public ::testing::Test {
 protected:
  void SetUp() override {
    if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
  }

  // A guest that damages a list of its own; its disk is as in every other run.
  GuestOptions options(unsigned cpus, Start start, std::vector<std::string> arguments) {
    const std::string disk = folder_ / "disk";
    std::ofstream(disk) << std::string(16 * 512, '.');
    arguments.insert(arguments.end(), {"-d", disk});
    return {.cpus = cpus, .start = start, .arguments = std::move(arguments)};
  }
  // A client of threads, as GDB and LLDB are.
  void begin(unsigned cpus, std::vector<std::string> arguments = {}) {
    guest_.emplace("ledger", options(cpus, Start::Held, std::move(arguments)));
    connect();
  }
  void connect() {
    client_.emplace(guest_->port());
    announced_ = ask("qSupported:swbreak+;hwbreak+;error-message+");
    EXPECT_THAT(announced_, HasSubstr(";ReverseStep+;ReverseContinue+"));
    ask("vCont?");
    ask("?");
  }
  std::string ask(const std::string& packet) { return client_->request(packet); }
  // A resume: the stop reply, console output left out.
  std::string go(const std::string& packet) {
    std::string reply = ask(packet);
    while (reply.front() == 'O' && reply != "OK")
      reply = client_->receive();
    return reply;
  }
  std::string say(const std::string& command) {
    const std::string reply = ask("qRcmd," + hex(command));
    return reply == "OK" || reply.front() == 'E' ? reply : unhex(reply);
  }
  std::uint64_t now() {
    const std::string said = say("when");
    EXPECT_EQ(said.substr(0, 3), "at ");
    return std::stoull(said.substr(3));
  }
  std::uint64_t word(const char* symbol, std::uint64_t offset = 0) {
    return client_->read_u64((*guest_)[symbol] + offset);
  }
  std::string at(const char* symbol, unsigned offset = 0) {
    return hex_number((*guest_)[symbol] + offset);
  }
  // A Z packet's condition: the guest has done so many rounds.
  std::string if_rounds(unsigned count) {
    // const32 address, ref64, const16 count, equal, end.
    const std::uint64_t address = (*guest_)["rounds"];
    std::string code = "\x24";
    for (int shift = 24; shift >= 0; shift -= 8)
      code += static_cast<char>(address >> shift);
    code += "\x1a\x23";
    code += static_cast<char>(count >> 8);
    code += static_cast<char>(count);
    code += "\x13\x27";
    return ";X" + hex_number(code.size()) + "," + hex(code);
  }
  void run_to_round(unsigned count) {
    const std::string here = "0," + at("set_name") + ",1";
    EXPECT_EQ(ask("Z" + here + if_rounds(count)), "OK");
    EXPECT_THAT(go("c"), HasSubstr("swbreak:;"));
    EXPECT_EQ(ask("z" + here), "OK");
  }

  TemporaryFolder folder_;
  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
  std::string announced_;
};

// It was told of this breakpoint, and has been elsewhere since.
TEST_F(TimeTravel, ABreakpointWhereThePresentIsIsHitAgain) {
  begin(2);
  run_to_round(20);
  const std::uint64_t present = now();
  EXPECT_EQ(ask("Z0," + at("set_name") + ",1" + if_rounds(20)), "OK");
  EXPECT_EQ(go("bs"), "T05thread:01;");
  EXPECT_EQ(go("c"), "T05thread:01;swbreak:;");
  EXPECT_EQ(now(), present);
  say("goto start");
  EXPECT_EQ(go("c"), "T05thread:01;swbreak:;");
  EXPECT_EQ(now(), present);
  EXPECT_EQ(go("bc"), "T05thread:01;" + kBegins);
  EXPECT_EQ(go("c"), "T05thread:01;swbreak:;");
  EXPECT_EQ(now(), present);
  EXPECT_EQ(word("rounds"), 20u);
}

// What LLDB sends for `process continue --reverse`: it takes no breakpoint out before, and has
// watchpoints stop before the store.
TEST_F(TimeTravel, BareContinuesBackwardsAsOfLldb) {
  begin(1);
  EXPECT_THAT(ask("qHostInfo"), HasSubstr("watchpoint_exceptions_received:after;"));
  run_to_round(40);
  EXPECT_EQ(ask("Z0," + at("set_name") + ",1"), "OK");
  for (unsigned round = 39; round > 30; --round) {
    EXPECT_EQ(go("bc"), "T05thread:01;swbreak:;");
    EXPECT_EQ(client_->rip(), (*guest_)["set_name"]);
    EXPECT_EQ(word("rounds"), round);
  }
  EXPECT_EQ(ask("z0," + at("set_name") + ",1"), "OK");
  EXPECT_EQ(ask("Z2," + at("rounds") + ",8"), "OK");
  // Backwards each write once, the pc on the store and the old value in memory.
  for (unsigned round = 31; round-- > 28;) {
    EXPECT_EQ(go("bc"), "T05thread:01;watch:" + at("rounds") + ";");
    EXPECT_EQ(word("rounds"), round);
  }
  const std::uint64_t store = client_->rip();
  // Forwards each once as well, the first of them where it stands, after the store.
  for (unsigned round = 29; round < 32; ++round) {
    EXPECT_EQ(go("c"), "T05thread:01;watch:" + at("rounds") + ";");
    EXPECT_EQ(word("rounds"), round);
    EXPECT_GT(client_->rip(), store);
  }
  EXPECT_EQ(ask("z2," + at("rounds") + ",8"), "OK");
  EXPECT_EQ(go("bc"), "T05thread:01;" + kBegins);
  EXPECT_EQ(go("bc"), "T05thread:01;" + kBegins);
  EXPECT_EQ(ask("?"), "T05thread:01;" + kBegins);
  EXPECT_EQ(now(), 0u);
}

TEST_F(TimeTravel, WhatWouldChangeThePastIsRefusedInWords) {
  begin(1);
  run_to_round(20);
  const std::string registers = ask("g");
  EXPECT_EQ(go("bs"), "T05thread:01;");
  const std::string before = ask("g"), memory = ask("m" + at("rounds") + ",8");
  ASSERT_NE(before, registers);
  for (const std::string& change : std::initializer_list<std::string>{
           "P0=0100000000000000", "G" + registers, "M" + at("rounds") + ",1:07",
           "X" + at("rounds") + ",1:x", "qRcmd," + hex("msr 0x174 1")}) {
    const std::string reply = ask(change);
    EXPECT_THAT(reply.front() == 'E' ? reply : unhex(reply), HasSubstr("monitor branch")) << change;
  }
  EXPECT_EQ(ask("g"), before);
  EXPECT_EQ(ask("m" + at("rounds") + ",8"), memory);
  say("branch");
  EXPECT_EQ(ask("P0=0100000000000000"), "OK");
  EXPECT_EQ(ask("M" + at("rounds") + ",1:07"), "OK");
  EXPECT_EQ(word("rounds"), 7u);
  // A change is a moment of the run as any other.
  EXPECT_EQ(go("s"), "T05thread:01;");
  EXPECT_EQ(go("bs"), "T05thread:01;");
  EXPECT_EQ(word("rounds"), 7u);
  EXPECT_EQ(client_->registers()[kRax], 1u);
  EXPECT_EQ(go("bs"), "T05thread:01;");
  EXPECT_EQ(word("rounds"), 20u);
}

// A client that believes the guest running would wait for a guest that stands.
TEST_F(TimeTravel, NobodyGoesElsewhereWhileTheGuestRuns) {
  begin(1);
  run_to_round(20);
  const std::uint64_t present = now();
  client_->send("c");
  EXPECT_EQ(say("goto start"), "goto: the guest is running; stop it first\n");
  client_->interrupt();
  EXPECT_EQ(client_->receive(), "T02thread:01;");
  EXPECT_GE(now(), present);
  EXPECT_THAT(say("goto start"), HasSubstr("at 0\n"));
}

// Nobody would go on from there: each vCPU is resumed by itself, and a journey is of the machine.
TEST_F(TimeTravel, NobodyGoesElsewhereInNonStopMode) {
  begin(1);
  run_to_round(20);
  EXPECT_EQ(ask("QNonStop:1"), "OK");
  const std::uint64_t present = now();
  EXPECT_EQ(say("goto start"), "goto: in non-stop mode the machine is not moved as a whole\n");
  EXPECT_EQ(now(), present);
  EXPECT_EQ(ask("QNonStop:0"), "OK");
  EXPECT_THAT(say("goto start"), HasSubstr("at 0\n"));
}

// The guest writes to its local APIC and is not said not to have.
TEST_F(TimeTravel, TheLastWriteToWhatIsNoMemoryIsNotLookedFor) {
  begin(1);
  run_to_round(20);
  for (const std::string address : {"0xfee000b0", "0xfffffffffffffff8", "0x800000000"}) {
    EXPECT_EQ(
        say("last-write physical " + address),
        "last-write: no memory is at physical " + address + ", and no other writes are kept\n");
  }
  EXPECT_THAT(say("last-write physical 0x1000"), HasSubstr("since 0"));
}

// Who reads the journal goes away: it cannot be written, as with a full disk.
TEST_F(TimeTravel, AJournalThatCannotBeWrittenEndsTheSessionWithAStatus) {
  const std::string journal = folder_ / "journal";
  ASSERT_EQ(::mkfifo(journal.c_str(), 0600), 0);
  const int reader = ::open(journal.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  begin(1, {"--record", journal});
  ::close(reader);
  EXPECT_EQ(go("c"), "W04");
  client_->await_close();
  EXPECT_EQ(guest_->process().await_exit(), 4);
}

TEST_F(TimeTravel, FartherBackThanTheHistoryIsItsStartWithAWord) {
  begin(1);
  run_to_round(20);
  const std::uint64_t present = now();
  const std::string back = "-" + std::to_string(present + 1);
  const std::string word = back + " is farther back than the history goes: this is its start\n";
  EXPECT_THAT(say("value-at " + back + " physical 0x100000 4"),
              AllOf(StartsWith("at 0\n"), HasSubstr(word)));
  EXPECT_THAT(say("goto " + back), AllOf(StartsWith("at 0\n"), HasSubstr(word)));
  EXPECT_THAT(say("goto present"), HasSubstr("at " + std::to_string(present) + "\n"));
  EXPECT_THAT(say("goto -" + std::to_string(present)),
              AllOf(StartsWith("at 0\n"), Not(HasSubstr("farther"))));
}

TEST_F(TimeTravel, ABranchOfSomethingForgetsNothing) {
  begin(1);
  run_to_round(20);
  const std::uint64_t present = now();
  say("goto -100");
  EXPECT_EQ(say("branch help"), "branch: takes no argument; nothing is forgotten\n");
  EXPECT_THAT(say("goto present"), HasSubstr("at " + std::to_string(present) + "\n"));
}

TEST_F(TimeTravel, ARecordedRunEndsInAStopAndGoesBackFromThere) {
  const std::string journal = folder_ / "journal";
  {
    GuestProcess guest("ledger", options(2, Start::WithoutDebug, {"--record", journal}));
    guest.process().await(ChildProcess::Stream::Output, "the list is broken\n");
    guest.process().kill(SIGTERM);
    guest.process().await_exit();
  }
  begin(2, {"--replay", journal});
  EXPECT_THAT(go("c"), HasSubstr(kEnds));
  const std::uint64_t end = now();
  EXPECT_GE(word("broken"), 200u);
  for (const char* resume : {"c", "vCont;c", "vCont;s:1", "vCont;s:2;c", "vCont;s:1;c"}) {
    EXPECT_THAT(go(resume), HasSubstr(kEnds)) << resume;
    EXPECT_THAT(ask("?"), HasSubstr(kEnds)) << resume;
    EXPECT_EQ(now(), end) << resume;
  }
  EXPECT_EQ(ask("Z2," + at("broken") + ",8"), "OK");
  EXPECT_EQ(go("bc"), "T05thread:01;watch:" + at("broken") + ";");
  EXPECT_EQ(word("broken"), 0u);
  EXPECT_EQ(go("c"), "T05thread:01;watch:" + at("broken") + ";");
  EXPECT_EQ(word("broken"), 200u);
  EXPECT_THAT(go("c"), HasSubstr(kEnds));
  EXPECT_EQ(now(), end);
  EXPECT_EQ(go("bc"), "T05thread:01;watch:" + at("broken") + ";");
  // Nobody is there any more who could go back: the run is compared with the recorded one.
  client_.reset();
  EXPECT_EQ(guest_->process().await_exit(), 1);
  EXPECT_THAT(guest_->process().text(ChildProcess::Stream::Error),
              HasSubstr("the recording ends here"));
}

}  // namespace
}  // namespace ringside::testing
