// Stock GDB's `target extended-remote`: run, kill, attach and detach, as an IDE's Restart button
// sends them; and what GDB says when the machine ends.
#include <tuple>

#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class Restart : public Dialogue {
 protected:
  std::string connect_extended() {
    return gdb("target extended-remote 127.0.0.1:" + std::to_string(guest_->port()));
  }
  // Lets a guest of endings.S come to its end, and gives what GDB says.
  std::string continue_to_the_end() {
    gdb_->start("continue");
    guest_->await_said("r");
    guest_->process().write_input("x");
    return gdb_->finish();
  }
};

TEST_F(Restart, RunBeginsAgainWithTheSameBreakpoints) {
  begin("demo", {.cpus = 2});
  connect_extended();
  gdb("break is_prime if number == 5");
  gdb("watch workers[0].primes");
  EXPECT_THAT(gdb("continue"), HasSubstr("New value = 1"));
  EXPECT_THAT(gdb("print workers[0].numbers"), HasSubstr(" = 3"));
  for (int round = 0; round < 2; ++round) {
    // With `set confirm off` GDB kills first, and then asks for the new process.
    EXPECT_THAT(gdb("run"), HasSubstr("New value = 1"));
    EXPECT_THAT(gdb("print workers[0].numbers"), HasSubstr(" = 3"));
    EXPECT_THAT(gdb("continue"), HasSubstr("New value = 2"));
    gdb("disable 2");
    EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, is_prime (number=5)"));
    gdb("enable 2");
  }
  // Held before the first instruction, and every other vCPU waits for its start.
  EXPECT_THAT(gdb("starti"), HasSubstr("Program stopped."));
  EXPECT_THAT(gdb("info threads"), AllOf(HasSubstr("_start"), Not(HasSubstr("vCPU 1"))));
  EXPECT_THAT(gdb("print $pc == _start"), HasSubstr(" = 1"));
  EXPECT_THAT(gdb("print workers[0].numbers"), HasSubstr(" = 0"));
}

TEST_F(Restart, KillAndDetachLeaveTheGuestRunningAndAttachTakesIt) {
  begin("demo");
  connect_extended();
  gdb("break is_prime");
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, is_prime"));
  for (const char* leave : {"kill", "detach"}) {
    EXPECT_THAT(gdb(leave), ContainsRegex("process 1\\) (killed|detached)"));
    EXPECT_THAT(gdb("info threads"), HasSubstr("No threads."));
    EXPECT_THAT(gdb("attach 1"), HasSubstr("demo.c"));
    EXPECT_THAT(gdb("info threads"), HasSubstr("vCPU 0"));
    EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 1, is_prime"));
  }
  gdb("kill");
  EXPECT_THAT(gdb("run"), HasSubstr("Breakpoint 1, is_prime (number=0)"));
  gdb("disconnect");
  EXPECT_TRUE(guest_->running());
}

TEST_F(Restart, TheEndIsTheExitOfTheProcess) {
  for (const auto& [guest, said, status] :
       {std::tuple("end_reboot", "exited normally", 0),
        std::tuple("end_power_off", "exited with code 01", 1),
        std::tuple("end_debug_exit", "exited with code 0125", 0x55)}) {
    SCOPED_TRACE(guest);
    begin(guest, {.arguments = {"--debug-exit"}});
    connect();
    EXPECT_THAT(continue_to_the_end(), HasSubstr(said));
    EXPECT_THAT(gdb("print $_exitcode"), HasSubstr(" = " + std::to_string(status)));
    EXPECT_EQ(guest_->process().await_exit(), status);
  }
}

TEST_F(Restart, ATripleFaultIsASignalThatStopsAndThenTerminates) {
  begin("end_triple_fault");
  connect_extended();
  EXPECT_THAT(continue_to_the_end(),
              AllOf(HasSubstr("triple fault"), HasSubstr("received signal SIGABRT")));
  EXPECT_THAT(gdb("continue"), AllOf(HasSubstr("triple fault"),
                                     HasSubstr("Program terminated with signal SIGABRT")));
  EXPECT_EQ(guest_->process().await_exit(), 3);
}

// The way out of a guest that has died: look at it, and start it again. GDB kills it in between.
TEST_F(Restart, ADeadGuestRunsAgain) {
  begin("end_triple_fault");
  connect_extended();
  EXPECT_THAT(continue_to_the_end(), HasSubstr("received signal SIGABRT"));
  gdb("break main");
  EXPECT_THAT(gdb("run"), HasSubstr("Breakpoint 1, main ()"));
  EXPECT_TRUE(guest_->running());
}

}  // namespace
}  // namespace ringside::testing
