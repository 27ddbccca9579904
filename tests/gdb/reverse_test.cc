// Stock GDB goes back: from where a damaged list is found to the store that damaged it, in steps
// and from breakpoint to breakpoint; and the guest goes on in the present as if nobody had.
#include "gdb/past_fixture.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kNoMore = "No more reverse-execution history.";

class Reverse : public PastDialogue, public ::testing::WithParamInterface<unsigned> {
 protected:
  // From anywhere after the damage: who has made it.
  void find_culprit() {
    gdb("watch book.accounts[0].next");
    EXPECT_THAT(gdb("reverse-continue"), AllOf(HasSubstr("Hardware watchpoint"),
                                               HasSubstr("set_name (account=account@entry=15"),
                                               HasSubstr("to[length] = 0x55;")));
    EXPECT_THAT(gdb("print length"), HasSubstr(" = 16\n"));
    EXPECT_THAT(gdb("backtrace"), ContainsRegex("#0 .* in set_name .*\n#1 .* in keep_books "));
    // Before the store: the old value is in memory, and the instruction is still to come.
    EXPECT_THAT(gdb("print book.accounts[0].next == &book.accounts[1]"), HasSubstr(" = 1\n"));
    EXPECT_THAT(gdb("x/i $pc"), ContainsRegex("=> .*movb +\\$0x55"));
    EXPECT_THAT(gdb("print rounds"), HasSubstr(" = 200\n"));
    EXPECT_THAT(gdb("print broken"), HasSubstr(" = 0\n"));
  }
  // The other writes to it, when the list was made; before them there are none.
  void go_to_the_beginning() {
    EXPECT_THAT(gdb("reverse-continue"), HasSubstr("New value = (struct account *) 0x0"));
    EXPECT_THAT(gdb("reverse-continue"), HasSubstr(kNoMore));
    EXPECT_THAT(gdb("reverse-stepi"), HasSubstr(kNoMore));
    EXPECT_THAT(gdb("print $pc == _start"), HasSubstr(" = 1\n"));
  }
};

TEST_P(Reverse, FindsWhoHasDamagedTheList) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  const std::uint64_t present = now();
  const std::string registers = gdb("info registers");
  find_culprit();
  go_to_the_beginning();
  EXPECT_EQ(now(), 0u);
  // And forward again, to both writes of the past; after the store, as everywhere.
  EXPECT_THAT(gdb("continue"), HasSubstr("New value = (struct account *) 0x"));
  EXPECT_THAT(gdb("continue"), AllOf(HasSubstr("Hardware watchpoint"), HasSubstr("set_name")));
  EXPECT_THAT(gdb("print book.accounts[0].next == &book.accounts[1]"), HasSubstr(" = 0\n"));
  EXPECT_LT(now(), present);
  gdb("delete");
  go_to("present");
  EXPECT_EQ(now(), present);
  EXPECT_EQ(gdb("info registers"), registers);
  EXPECT_EQ(times_found(), 0u);
  // The guest lives: it says now what it was about to say.
  gdb("break set_name if rounds == 260");
  EXPECT_THAT(gdb("continue"), HasSubstr("set_name (account="));
  EXPECT_EQ(times_found(), 1u);
  gdb("delete");
  find_culprit();
  gdb("delete");
  gdb("detach");
  await_change(*guest_, (*guest_)["rounds"], 260);
  EXPECT_EQ(times_found(), 1u);
}

TEST_P(Reverse, FindsItAttachedLate) {
  begin_ledger(GetParam(), Start::Running);
  guest_->process().await(Stream::Output, kFound);
  connect();
  const std::uint64_t present = now();
  find_culprit();
  gdb("delete");
  go_to("present");
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIG"));
  EXPECT_GT(now(), present);
  find_culprit();
  go_to_the_beginning();
  gdb("detach");
  await_change(*guest_, (*guest_)["rounds"], 201);
  EXPECT_EQ(times_found(), 1u);
}

TEST_P(Reverse, FindsItInARecordedRun) {
  record_ledger(GetParam());
  begin_ledger(GetParam(), Start::Held, {"--replay", journal()});
  connect();
  EXPECT_THAT(gdb("continue"), HasSubstr(kNoMore));
  const std::uint64_t end = now();
  find_culprit();
  go_to_the_beginning();
  gdb("delete");
  EXPECT_THAT(gdb("continue"), HasSubstr(kNoMore));
  EXPECT_EQ(now(), end);
  EXPECT_THAT(gdb("stepi"), HasSubstr(kNoMore));
  find_culprit();
}

TEST_P(Reverse, StepsGoBackTheWayTheyHaveCome) {
  begin_ledger(GetParam());
  connect();
  gdb("break set_name if rounds == 30");
  EXPECT_THAT(gdb("continue"), HasSubstr("set_name (account="));
  gdb("delete");
  std::vector<std::string> way;
  for (unsigned i = 0; i < 40; ++i) {
    way.push_back(gdb("info registers"));
    gdb("stepi");
  }
  for (unsigned i = 40; i-- > 0;) {
    gdb("reverse-stepi");
    ASSERT_EQ(gdb("info registers"), way[i]) << i;
  }
  gdb("stepi 25");
  EXPECT_EQ(gdb("info registers"), way[25]);
  gdb("reverse-stepi 20");
  EXPECT_EQ(gdb("info registers"), way[5]);
}

TEST_P(Reverse, LinesAndFunctionsGoBack) {
  begin_ledger(GetParam());
  connect();
  gdb("break add_up if rounds == 30");
  EXPECT_THAT(gdb("continue"), HasSubstr("add_up ()"));
  gdb("delete");
  // Out of the function to its call, over set_name() as a whole, and into it from the end.
  EXPECT_THAT(gdb("reverse-finish"), ContainsRegex("keep_books \\(\\)|vcpu_main"));
  EXPECT_THAT(gdb("x/i $pc"), ContainsRegex("call .*<add_up>"));
  EXPECT_THAT(gdb("tbreak set_name"), HasSubstr("breakpoint"));
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  const std::string entry = gdb("info registers");
  EXPECT_THAT(gdb("finish"), HasSubstr("Run till exit"));
  const std::string after = gdb("print $pc");
  EXPECT_THAT(gdb("reverse-step"), HasSubstr("set_name (account="));
  EXPECT_THAT(gdb("info source"), HasSubstr("ledger.c"));
  EXPECT_THAT(gdb("reverse-next"), HasSubstr("to[length] = 0x55"));
  EXPECT_THAT(gdb("reverse-finish"), HasSubstr("Run back to call of"));
  EXPECT_THAT(gdb("x/i $pc"), ContainsRegex("call .*<set_name>"));
  gdb("stepi");
  EXPECT_EQ(gdb("info registers"), entry);
  gdb("finish");
  EXPECT_EQ(gdb("print $pc").substr(4), after.substr(4));
  // Not into it.
  EXPECT_THAT(gdb("reverse-next"), Not(HasSubstr("set_name (account=")));
  EXPECT_THAT(gdb("backtrace 1"), ContainsRegex("keep_books|vcpu_main"));
}

TEST_P(Reverse, BreakpointsAreFoundTheLastOneFirst) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  gdb("break set_name");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account=account@entry=15"));
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account=8"));  // 200 % 16
  for (unsigned round = 199; round > 190; --round) {
    EXPECT_THAT(gdb("reverse-continue"), HasSubstr("Breakpoint 2, set_name (account="));
    EXPECT_EQ(value("rounds"), round);
  }
  gdb("delete");
  gdb("tbreak keep_books");
  gdb("hbreak disk_request if type == 0");
  EXPECT_THAT(gdb("reverse-continue"), ContainsRegex("disk_request \\(type=[^,]*=?0, "));
  EXPECT_EQ(value("rounds"), 184u);
  EXPECT_THAT(gdb("continue"), ContainsRegex("disk_request \\(type=[^,]*=?0, "));
  EXPECT_EQ(value("rounds"), 192u);
}

TEST_P(Reverse, ConditionsAreTheServers) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  gdb("set breakpoint condition-evaluation target");
  gdb("break set_name if length == 5 && rounds % 16 == 3");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  const std::uint64_t last = value("rounds");
  EXPECT_EQ(last % 16, 3u);
  EXPECT_EQ(last % 15, 5u);
  EXPECT_THAT(gdb("info breakpoints"), HasSubstr("(target evals)"));
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr(kNoMore));
  EXPECT_THAT(gdb("continue"), HasSubstr("set_name (account="));
  EXPECT_EQ(value("rounds"), last);
  EXPECT_THAT(gdb("info breakpoints"), HasSubstr("already hit 2 times"));
  gdb("delete");
  // GDB's own condition, with a function that the server does not have.
  gdb("break set_name if $_streq(\"an account, rich\", name) && rounds == 50");
  go_to("present");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  EXPECT_EQ(value("rounds"), 50u);
}

TEST_P(Reverse, WatchpointsWithAConditionAndOfReads) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  gdb("watch rounds if rounds == 100");
  gdb("rwatch broken");
  EXPECT_THAT(gdb("reverse-continue"),
              AllOf(HasSubstr("Hardware read watchpoint"), HasSubstr("Value = 0")));
  gdb("delete 3");
  // Backwards it is true before the write of 101.
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("New value = 100"));
  EXPECT_THAT(gdb("print rounds"), HasSubstr(" = 100\n"));
  gdb("delete");
  gdb("awatch counted[0]");
  gdb("reverse-stepi 3");
  EXPECT_THAT(gdb("print rounds"), HasSubstr(" = 100\n"));
}

TEST_P(Reverse, DprintfPrintsForwardsAlone) {
  begin_ledger(GetParam());
  connect();
  gdb("break add_up if rounds == 20");
  EXPECT_THAT(gdb("continue"), HasSubstr("add_up ()"));
  gdb("set dprintf-style agent");
  gdb("dprintf set_name,\"name %u of %u\\n\",account,length");
  EXPECT_THAT(gdb("tbreak add_up if rounds == 10"), HasSubstr("breakpoint"));
  EXPECT_THAT(gdb("reverse-continue"), AllOf(HasSubstr("add_up ()"), Not(HasSubstr("name 1"))));
  EXPECT_EQ(value("rounds"), 10u);
  const std::string said = gdb("continue");
  std::size_t at = 0;
  for (unsigned round = 11; round <= 20; ++round) {
    const std::string line =
        "name " + std::to_string(round % 16) + " of " + std::to_string(round % 15) + "\n";
    at = said.find(line, at);
    ASSERT_NE(at, std::string::npos) << line << "in\n" << said;
  }
  EXPECT_THAT(said, HasSubstr("add_up ()"));
}

INSTANTIATE_TEST_SUITE_P(Vcpus, Reverse, ::testing::Values(1u, 2u, 4u),
                         [](const ::testing::TestParamInfo<unsigned>& one) {
                           return std::to_string(one.param);
                         });

}  // namespace
}  // namespace ringside::testing
