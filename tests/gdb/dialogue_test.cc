// Dialogues of stock GDB with the real program: what a user types, and the lines that matter of
// what GDB says.
#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Dialogue, FromTheFirstInstructionToABacktrace) {
  begin("demo");
  EXPECT_THAT(connect(), ContainsRegex("_start \\(\\) at .*boot64.inc"));
  EXPECT_THAT(gdb("break look_at"), HasSubstr("Breakpoint 1 at"));
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, look_at (worker="));
  EXPECT_THAT(gdb("backtrace"),
              ContainsRegex("#0 +look_at .*\n#1 .* in work .*\n#2 .* in vcpu_main"));
  EXPECT_THAT(gdb("print *worker"), HasSubstr("name = 0x"));
  EXPECT_THAT(gdb("print *worker"), HasSubstr("\"anna\", vcpu = 0, numbers = 0, primes = 0}"));
  EXPECT_THAT(gdb("break is_prime"), HasSubstr("Breakpoint 2 at"));
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 2, is_prime (number=0)"));
  EXPECT_THAT(gdb("finish"), ContainsRegex("Run till exit.*\n(.*\n)*Value returned is .* = 0"));
  EXPECT_THAT(gdb("delete"), "");
  EXPECT_THAT(gdb("next"), HasSubstr("worker->primes"));
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  guest_->process().await(ChildProcess::Stream::Output, "anna is working");
}

TEST_F(Dialogue, VcpusAreThreads) {
  begin("demo", {.cpus = 3, .start = Start::Running});
  for (const char* name : {"anna", "bert", "cleo"})
    guest_->process().await(ChildProcess::Stream::Output, name);
  connect();
  const std::string threads = gdb("info threads");
  for (const char* name : {"vCPU 0", "vCPU 1", "vCPU 2"})
    EXPECT_THAT(threads, HasSubstr(std::string("\"") + name + "\" (running, long mode, CPL 0)"));
  gdb("thread 3");
  EXPECT_THAT(gdb("backtrace"), HasSubstr(" in work (worker=worker@entry="));
  EXPECT_THAT(gdb("thread apply all print/d $_thread"), ContainsRegex("= 3\n(.*\n)*.*= 1\n"));
  gdb("break look_at thread 2");
  for (int i = 0; i < 3; ++i) {
    const std::string stop = gdb("continue");
    EXPECT_THAT(stop, HasSubstr("look_at (worker="));
    EXPECT_THAT(gdb("print $_thread"), HasSubstr("= 2"));
    EXPECT_THAT(gdb("print worker->name"), HasSubstr("\"bert\""));
  }
}

TEST_F(Dialogue, CtrlCDetachAndComeBack) {
  begin("demo", {.cpus = 2});
  connect();
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIG"));
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIG"));
  gdb("detach");
  guest_->process().await(ChildProcess::Stream::Output, "anna is working");
  EXPECT_THAT(connect(), ContainsRegex("in |at "));
  EXPECT_THAT(gdb("print workers_ready >= 1"), HasSubstr("= 1"));
  gdb("disconnect");
  EXPECT_TRUE(guest_->running());
}

TEST_F(Dialogue, SystemRegistersComeFromTheTargetDescription) {
  begin("registers");
  connect();
  gdb("tbreak spin");
  gdb("continue");
  EXPECT_THAT(gdb("info registers rax"), ContainsRegex("rax +0x1111111111111111"));
  EXPECT_THAT(gdb("info registers eflags"), HasSubstr("OF"));
  EXPECT_THAT(gdb("info registers cr0"), ContainsRegex("cr0 +0x80010011.*PG"));
  EXPECT_THAT(gdb("info registers efer"), ContainsRegex("efer +0x501.*LMA"));
  EXPECT_THAT(gdb("print/x $cr3"), Not(HasSubstr("void")));
  EXPECT_THAT(gdb("print $xmm0"), HasSubstr("v4_float"));
  gdb("set var $rbx = 0x1234");
  EXPECT_THAT(gdb("print/x $rbx"), HasSubstr("0x1234"));
}

TEST_F(Dialogue, MemoryBreakpointsAndCode) {
  begin("counters");
  connect();
  gdb("break *tick");
  gdb("continue");
  EXPECT_THAT(gdb("x/i $pc"), HasSubstr("incq"));  // not our int3
  gdb("set var *(long*)&counters = 41");
  gdb("stepi");
  EXPECT_THAT(gdb("print *(long*)&counters"), HasSubstr("= 42"));
  EXPECT_THAT(gdb("condition 1 *(long*)&counters == 50"), "");
  gdb("continue");
  EXPECT_THAT(gdb("print *(long*)&counters"), HasSubstr("= 50"));
  EXPECT_THAT(gdb("info breakpoints"), HasSubstr("breakpoint already hit"));
  EXPECT_THAT(gdb("print *(long*)0xffff900000000000"), HasSubstr("Cannot access memory"));
}

TEST_F(Dialogue, TheGuestsInt3IsNoBusinessOfOurs) {
  begin("int3");
  connect();
  gdb("tbreak *long_form");
  EXPECT_THAT(gdb("continue"), HasSubstr("long_form"));
  gdb("stepi");
  EXPECT_THAT(gdb("x/i $pc"), HasSubstr("<handler"));
}

TEST_F(Dialogue, TheEndOfTheGuest) {
  begin("end_power_off");
  connect();
  gdb_->start("continue");
  guest_->await_said("r");
  guest_->process().write_input("x");
  const std::string end = gdb_->finish();
  EXPECT_THAT(end, ContainsRegex("exited|closed|EOF"));
  EXPECT_EQ(guest_->process().await_exit(), 1);
}

// A triple fault stops for the debugger, with everything to be seen; going on ends it.
TEST_F(Dialogue, TheDeathOfTheGuest) {
  begin("end_triple_fault");
  connect();
  gdb_->start("continue");
  guest_->await_said("r");
  guest_->process().write_input("x");
  EXPECT_THAT(gdb_->finish(), ContainsRegex("triple fault(.*\n)*.*received signal"));
  EXPECT_TRUE(guest_->running());
  EXPECT_THAT(gdb("x/i $pc"), HasSubstr("ud2"));
  EXPECT_THAT(gdb("continue"), HasSubstr("terminated with signal SIGABRT"));
  EXPECT_EQ(guest_->process().await_exit(), 3);
}

TEST_F(Dialogue, KillLeavesTheGuestAlone) {
  begin("demo");
  connect();
  gdb("kill");
  guest_->process().await(ChildProcess::Stream::Output, "anna is working");
  EXPECT_TRUE(guest_->running());
}

}  // namespace
}  // namespace ringside::testing
