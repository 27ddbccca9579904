// Stock GDB in non-stop mode: each vCPU stops and runs by itself, and a trace stops nobody.
#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class NonStop : public Dialogue {
 protected:
  void begin_counters() {
    begin("counters", {.cpus = 4, .start = Start::Running});
    guest_->await_said_numbers(4);
    gdb("set non-stop on");
  }
  // What GDB says of the threads once that is so: stops come at their own time.
  template <typename Condition>
  std::string await_threads(Condition condition) {
    std::string said;
    for (const Deadline deadline; !condition(said = gdb("info threads"));) {
      if (deadline.passed()) {
        ADD_FAILURE() << "not in time: " << said;
        break;
      }
    }
    return said;
  }
  static std::size_t count(const std::string& text, std::string_view word) {
    std::size_t times = 0;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
      ++times;
    return times;
  }
  void await_everybody_stopped() {
    await_threads([](const std::string& said) { return said.find("(running)") == said.npos; });
  }
  void await_everybody_running() {
    await_threads([](const std::string& said) { return count(said, "(running)\n") >= 4; });
  }
  std::string counter(int vcpu) {
    return gdb("print ((long*)&counters)[" + std::to_string(vcpu) + "]");
  }
};

TEST_F(NonStop, OneStandsAtABreakpointWhileTheOthersRun) {
  begin_counters();
  connect();
  gdb("interrupt -a");
  await_everybody_stopped();
  gdb("continue -a &");
  await_everybody_running();
  EXPECT_THAT(gdb("break *tick_end thread 2"), HasSubstr("Breakpoint 1"));  // while all run
  const std::string threads =
      await_threads([](const std::string& said) { return count(said, "tick_end ()") == 1; });
  EXPECT_THAT(threads, HasSubstr("\"vCPU 1\""));
  gdb("thread 2");
  EXPECT_THAT(gdb("print $pc"), HasSubstr("<tick_end>"));
  // It stands, and the others count.
  const auto value = [](const std::string& text) { return text.substr(text.find(" = ")); };
  const std::string own = value(counter(1)), other = value(counter(3));
  for (const Deadline deadline; value(counter(3)) == other;)
    ASSERT_FALSE(deadline.passed());
  EXPECT_EQ(value(counter(1)), own);
  // It is stepped by itself, and so is another beside it.
  EXPECT_THAT(gdb("stepi"), HasSubstr("entry_of_loop"));
  gdb("delete");
  gdb("continue &");
  await_everybody_running();
  gdb("thread 3");
  gdb("interrupt");
  await_threads([](const std::string& said) { return count(said, "(running)\n") == 3; });
  gdb("stepi 5");
  EXPECT_THAT(gdb("info threads"), HasSubstr("* 3"));
  gdb("continue -a &");
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
}

TEST_F(NonStop, TheNextConnectionStopsEverything) {
  begin_counters();
  connect();
  gdb("interrupt -a");
  await_everybody_stopped();
  gdb("break *tick_end");
  gdb("thread 2");
  gdb("continue &");
  await_threads([](const std::string& said) { return count(said, "tick_end ()") >= 1; });
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  gdb("delete");
  gdb("set non-stop off");
  connect();
  EXPECT_THAT(gdb("info threads"), Not(HasSubstr("running)\n")));
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIGINT"));
  EXPECT_THAT(gdb("info threads"), Not(HasSubstr("running)\n")));
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
}

// GDB stops and resumes threads one by one, and shows the user all-stop.
TEST_F(NonStop, AllStopAboveIt) {
  begin("counters", {.cpus = 4, .start = Start::Running});
  guest_->await_said_numbers(4);
  gdb("maintenance set target-non-stop on");
  connect();
  gdb("break *tick thread 3");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(gdb("continue"), HasSubstr("Thread 3 \"vCPU 2\" hit Breakpoint 1"));
    EXPECT_THAT(gdb("info threads"), Not(HasSubstr("running)\n")));
  }
  EXPECT_THAT(gdb("stepi"), HasSubstr("tick_end"));
  gdb("delete");
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIGINT"));
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
}

TEST_F(NonStop, ATraceStopsNobody) {
  begin_counters();
  connect();
  EXPECT_THAT(gdb("trace *tick"), HasSubstr("Tracepoint 1 at"));
  gdb("actions\ncollect $regs\nend");
  gdb("passcount 300 1");
  EXPECT_EQ(gdb("tstart"), "");
  std::string status;
  for (const Deadline deadline; status.find("Trace stopped") == status.npos;
       status = gdb("tstatus"))
    ASSERT_FALSE(deadline.passed()) << status;
  EXPECT_THAT(status, AllOf(HasSubstr("Trace stopped by tracepoint 1."),
                            HasSubstr("Collected 300 trace frames.")));
  EXPECT_EQ(count(gdb("info threads"), "(running)\n"), 3u);
  EXPECT_THAT(gdb("tfind start"), HasSubstr("Found trace frame 0, tracepoint 1"));
  EXPECT_THAT(gdb("print $pc"), HasSubstr("<tick>"));
  EXPECT_THAT(gdb("tdump"),
              AllOf(HasSubstr("Data collected at tracepoint 1, trace frame 0"), HasSubstr("rdi")));
  // vCPU 0 stands.
  EXPECT_THAT(gdb("print $rdi >= 1 && $rdi <= 3"), HasSubstr("= 1"));
  gdb("tfind none");
  gdb("continue &");
  await_everybody_running();
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
}

// Each vCPU writes its number to a port; one of them is caught at that.
TEST_F(NonStop, WhatIsCaughtStopsOneVcpu) {
  begin("counters", {.cpus = 4});
  gdb("set non-stop on");
  connect();
  EXPECT_THAT(gdb("monitor catch io 0x3f8 w if $rcx == 0x32"), HasSubstr("Catch 1: io 0x3f8 w"));
  gdb("continue -a &");
  const std::string threads = await_threads([](const std::string& said) {
    return count(said, "\"vCPU ") == 4 && count(said, "(running)\n") == 3;
  });
  // GDB numbers threads as it comes to know them.
  const std::size_t name = threads.find("\"vCPU 2\"");
  ASSERT_NE(name, std::string::npos) << threads;
  const std::size_t line = threads.rfind('\n', name) + 1;
  EXPECT_THAT(threads.substr(line, threads.find('\n', name) - line), Not(HasSubstr("(running)")));
  gdb("thread " + std::to_string(std::stoi(threads.substr(line + 2))));
  EXPECT_THAT(gdb("print $rcx"), HasSubstr("= 50"));
  EXPECT_THAT(gdb("monitor catch"), HasSubstr(", 1 true"));
  const auto value = [](const std::string& text) { return text.substr(text.find(" = ")); };
  const std::string other = value(counter(3));
  for (const Deadline deadline; value(counter(3)) == other;)
    ASSERT_FALSE(deadline.passed());
  EXPECT_THAT(counter(2), HasSubstr("= 0"));
  EXPECT_THAT(gdb("monitor catch delete 1"), HasSubstr("taken out"));
  gdb("continue &");
  await_everybody_running();
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
}

TEST_F(NonStop, TheEndOfTheMachine) {
  begin("end_power_off");
  gdb("set non-stop on");
  connect();
  gdb_->start("continue");
  guest_->await_said("r");
  guest_->process().write_input("x");
  EXPECT_THAT(gdb_->finish(), HasSubstr("exited with code 01"));
  EXPECT_EQ(guest_->process().await_exit(), 1);
}

}  // namespace
}  // namespace ringside::testing
