// Stock GDB goes back from a guest's death and panic, and along one vCPU of several.
#include "gdb/past_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class ReverseEnds : public PastDialogue {
 protected:
  // Lets a guest of endings.S come to its end, and gives what GDB says.
  std::string continue_to_the_end() {
    gdb_->start("continue");
    guest_->await_said("r");
    guest_->process().write_input("x");
    return gdb_->finish();
  }
};

TEST_F(ReverseEnds, FromATripleFault) {
  begin("end_triple_fault");
  connect();
  EXPECT_THAT(continue_to_the_end(), ContainsRegex("triple fault(.*\n)*.*received signal SIGABRT"));
  const std::string registers = gdb("info registers");
  EXPECT_THAT(gdb("x/i $pc"), HasSubstr("ud2"));
  // It died of what it stands on, which it has not executed.
  EXPECT_THAT(gdb("reverse-stepi"), Not(HasSubstr("No more")));
  gdb("break " + at("go"));
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("Breakpoint 1, "));
  EXPECT_THAT(gdb("print $pc == " + at("go").substr(1)), HasSubstr(" = 1\n"));
  // What was typed comes again, and so does the death.
  gdb("tbreak main");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("main ()"));
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, "));
  gdb("delete");
  EXPECT_THAT(gdb("continue"), HasSubstr("SIGABRT"));
  EXPECT_EQ(gdb("info registers"), registers);
  EXPECT_THAT(gdb("monitor when"), HasSubstr("in the present"));
  EXPECT_THAT(gdb("continue"), HasSubstr("terminated with signal SIGABRT"));
  EXPECT_EQ(guest_->process().await_exit(), 3);
}

TEST_F(ReverseEnds, FromAPanic) {
  begin("end_panic", {.cpus = 2});
  connect();
  EXPECT_THAT(continue_to_the_end(), HasSubstr("received signal SIGABRT"));
  const std::uint64_t panic = now();
  gdb("break " + at("go"));
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("Breakpoint 1, "));
  EXPECT_LT(now(), panic);
  gdb("delete");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("No more reverse-execution history."));
  gdb("break " + at("after_panic"));
  EXPECT_THAT(gdb("continue"), AnyOf(HasSubstr("Breakpoint 2, "), HasSubstr("SIGABRT")));
  EXPECT_TRUE(guest_->running());
}

class ReverseOneVcpu : public PastDialogue, public ::testing::WithParamInterface<unsigned> {};

// A step back is one of the vCPU that has stopped, and the others go along.
TEST_P(ReverseOneVcpu, StepsBackAndForth) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  const std::string thread = std::to_string(GetParam());
  gdb("watch counted[" + std::to_string(GetParam() - 1) + "]");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("Hardware watchpoint"));
  gdb("delete");
  gdb("tbreak *$pc thread " + thread);
  if (value("$_thread") != GetParam()) gdb("reverse-continue");
  gdb("delete");
  ASSERT_EQ(value("$_thread"), GetParam());
  std::vector<std::string> way{gdb("info registers")};
  for (unsigned i = 0; i < 20; ++i) {
    gdb("info threads");  // looks at all of them
    EXPECT_THAT(gdb("reverse-stepi"), Not(HasSubstr("received signal")));
    EXPECT_EQ(value("$_thread"), GetParam());
    way.push_back(gdb("info registers"));
    EXPECT_NE(way[i], way[i + 1]);
  }
  for (unsigned i = 20; i-- > 0;) {
    gdb("stepi");
    ASSERT_EQ(gdb("info registers"), way[i]) << i;
  }
  // GDB names another one only when it has locked the scheduler.
  gdb("thread 1");
  const std::string others = gdb("info registers");
  gdb("set scheduler-locking on");
  gdb("reverse-stepi");
  EXPECT_EQ(value("$_thread"), 1u);
  const std::string before = gdb("info registers");
  EXPECT_NE(before, others);
  gdb("stepi");
  EXPECT_EQ(gdb("info registers"), others);
  gdb("set scheduler-locking off");
  // A breakpoint for one of them alone, and a write of another.
  gdb("break set_name thread 1");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  EXPECT_EQ(value("$_thread"), 1u);
  const std::uint64_t there = now();
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  EXPECT_LT(now(), there);
  gdb("delete");
}

INSTANTIATE_TEST_SUITE_P(Vcpus, ReverseOneVcpu, ::testing::Values(2u, 4u),
                         [](const ::testing::TestParamInfo<unsigned>& one) {
                           return std::to_string(one.param);
                         });

}  // namespace
}  // namespace ringside::testing
