// Tracepoints of stock GDB.
#include "base/testing/temporary_folder.h"
#include "gdb/gdb_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TraceDialogue : public Dialogue {
 protected:
  void begin_with_files() {
    begin("demo", {.arguments = {"--files", folder_.path().string()}});
    connect();
  }
  // A command with lines of its own, up to `end`.
  void actions(const std::vector<std::string>& lines) {
    std::string text = "actions";
    for (const std::string& line : lines)
      text += "\n" + line;
    gdb_->command(text + "\nend");
  }
  TemporaryFolder folder_;
};

TEST_F(TraceDialogue, ATraceIsSavedAndRead) {
  begin_with_files();
  gdb("tvariable $calls = 5");
  EXPECT_THAT(gdb("trace look_at"), HasSubstr("Tracepoint 1 at"));
  actions({"collect $regs, $args, worker->primes, *worker", "teval $calls = $calls + 1",
           "collect $calls"});
  gdb("passcount 20 1");
  EXPECT_THAT(gdb("trace is_prime if number == 3"), HasSubstr("Tracepoint 2 at"));
  actions({"collect $regs", "while-stepping 3", "collect $regs, number", "end"});
  EXPECT_EQ(gdb("tstart"), "");
  EXPECT_THAT(gdb("tstatus"), AllOf(HasSubstr("Trace is running on the target."),
                                    HasSubstr("Collected 0 trace frames.")));
  gdb("break look_at if number == 100");
  EXPECT_THAT(gdb("continue"), HasSubstr("Breakpoint 3, look_at"));
  EXPECT_THAT(gdb("tstatus"), AllOf(HasSubstr("Trace stopped by tracepoint 1."),
                                    HasSubstr("Collected 24 trace frames.")));
  EXPECT_THAT(gdb("info tracepoints"),
              AllOf(HasSubstr("tracepoint already hit 20 times"), HasSubstr("pass count 20")));
  const std::string live = gdb("print workers[0].numbers");

  const auto expect_frames = [&] {
    EXPECT_THAT(gdb("tfind tracepoint 1"), HasSubstr("trace frame 0, tracepoint 1"));
    EXPECT_THAT(gdb("tdump"), AllOf(HasSubstr("trace frame 0"), HasSubstr("number = 0"),
                                    HasSubstr("worker->primes = 0"), HasSubstr("$calls = 6")));
    EXPECT_THAT(gdb("tfind"), HasSubstr("trace frame 1"));
    EXPECT_THAT(gdb("print number"), HasSubstr("= 1"));
    EXPECT_THAT(gdb("print *worker"), HasSubstr("numbers = 1"));
    EXPECT_THAT(gdb("print $trace_frame"), HasSubstr("= 1"));
    EXPECT_THAT(gdb("print $calls"), HasSubstr("= 7"));
    EXPECT_THAT(gdb("info symbol $pc"), HasSubstr("look_at"));
    EXPECT_THAT(gdb("x/i $pc"), HasSubstr("look_at"));
    // Not collected, though the machine has it.
    EXPECT_THAT(gdb("print workers[3]"), HasSubstr("<unavailable>"));
    EXPECT_THAT(gdb("tfind tracepoint 2"), HasSubstr("tracepoint 2"));
    EXPECT_THAT(gdb("print number"), HasSubstr("= 3"));
    EXPECT_THAT(gdb("tfind"), HasSubstr("tracepoint 2"));
    EXPECT_THAT(gdb("print $pc == (long)&is_prime"), HasSubstr("= 0"));
  };
  gdb("tfind start");
  gdb("tfind none");
  expect_frames();
  EXPECT_THAT(gdb("print number = 77"), HasSubstr("failure reply"));
  EXPECT_THAT(gdb("tfind none"), HasSubstr("No longer looking at any trace frame"));
  const auto value = [](const std::string& text) { return text.substr(text.find(" = ")); };
  EXPECT_EQ(value(gdb("print workers[0].numbers")), value(live));

  EXPECT_THAT(gdb("tsave " + folder_.path().string() + "/by_gdb"), HasSubstr("saved"));
  EXPECT_THAT(gdb("tsave -r on_server"), Not(HasSubstr("rror")));
  EXPECT_THAT(gdb("tsave -r ../elsewhere"), HasSubstr("error"));
  EXPECT_THAT(gdb("detach"), HasSubstr("detached"));
  for (const char* name : {"/by_gdb", "/on_server"}) {
    gdb_.emplace(guest_->image().path());
    EXPECT_THAT(gdb("target tfile " + folder_.path().string() + name), HasSubstr("tracepoint 1"))
        << name;
    EXPECT_THAT(gdb("tstatus"),
                AllOf(HasSubstr("Using a trace file."), HasSubstr("24 trace frames")));
    gdb("tfind none");
    expect_frames();
  }
}

TEST_F(TraceDialogue, AFullBufferAndAnErrorAreToldAsWhatTheyAre) {
  begin_with_files();
  gdb("trace look_at");
  actions({"collect $regs"});
  gdb("set trace-buffer-size 4000");
  gdb("tstart");
  gdb("break look_at if number == 50");
  gdb("continue");
  EXPECT_THAT(gdb("tstatus"), HasSubstr("Trace stopped because the buffer was full."));
  gdb("set circular-trace-buffer on");
  gdb("tstart");
  gdb("break look_at if number == 100");
  gdb("continue");
  EXPECT_THAT(gdb("tstatus"), AllOf(HasSubstr("Trace is running"), HasSubstr("circular")));
  EXPECT_EQ(gdb("tstop"), "");
  EXPECT_THAT(gdb("tstatus"), HasSubstr("Trace stopped by a tstop command"));
  gdb("tfind start");
  EXPECT_THAT(gdb("print number"), Not(HasSubstr("= 50")));
  gdb("tfind none");
  gdb("delete");
  EXPECT_THAT(gdb("ftrace look_at if 5 / (number - number)"), HasSubstr("Fast tracepoint"));
  gdb("tstart");
  gdb("break is_prime");
  gdb("continue");
  gdb("continue");
  EXPECT_THAT(gdb("tstatus"), HasSubstr("divides by zero"));
}

}  // namespace
}  // namespace ringside::testing
