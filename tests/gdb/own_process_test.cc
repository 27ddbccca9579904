// GDB on ringside itself: it finds its way through code that no file on disk has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gdb/gdb_session.h"
#include "support/guest_image.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class OwnProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    static const std::string missing =
        GdbSession::missing().empty() ? host::no_tracing() : GdbSession::missing();
    SKIP_IF(missing);
    gdb_.emplace(RINGSIDE_PROGRAM);
  }
  std::string gdb(std::string_view command) { return gdb_->command(command); }
  // Up to the first stop.
  std::string run(std::string_view guest) {
    return gdb("run -e soft -s none " + GuestImage(guest).path());
  }
  // Up to where host code is known, and will be entered.
  void run_to_host_code(std::string_view guest) {
    gdb("tbreak ringside::soft::Translator::run");
    EXPECT_THAT(run(guest), HasSubstr("Temporary breakpoint 1, "));
  }
  // Functions in quotation marks, with commas. What the script prints.
  std::string step_until(const std::string& functions) {
    gdb("python wanted = {" + functions + "}");
    gdb_->start("source tests/gdb/step_through_host_code.py");
    return gdb_->finish(Deadline(std::chrono::seconds(120)));
  }

  std::optional<GdbSession> gdb_;
};

constexpr const char* kThroughBlocks =
    "#0 [^\n]* in ringside::soft::host_calls::in_block[^\n]*\n"
    "#1 [^\n]* in stub_call_handler [^\n]*\n"
    "#2 [^\n]* in translated_guest_code [^\n]*\n"
    "#3 [^\n]* in ringside::soft::Translator::run[^\n]*\n";

TEST_F(OwnProcess, ABacktraceGoesThroughHostCode) {
  gdb("break ringside::soft::host_calls::in_block");
  EXPECT_THAT(run("random"), HasSubstr("Breakpoint 1, "));
  EXPECT_THAT(gdb("backtrace"), AllOf(ContainsRegex(kThroughBlocks), HasSubstr(" in main ")));
}

TEST_F(OwnProcess, EveryInstructionHasItsCallers) {
  gdb("break ringside::soft::host_calls::in_block");
  EXPECT_THAT(run("random"), HasSubstr("Breakpoint 1, "));
  gdb("delete");
  // On the way back to where the host code is entered from, and to the next call.
  EXPECT_EQ(step_until("'stub_call_handler', 'translated_guest_code', 'stub_exit', 'stub_enter'"),
            "lost: 0, not seen: none\n");
  EXPECT_EQ(step_until("'translated_guest_code', 'ringside::soft::host_calls::in_block'"),
            "lost: 0, not seen: none\n");
}

TEST_F(OwnProcess, ASignalInHostCodeEndsTheRunInOrder) {
  run_to_host_code("counters");
  EXPECT_EQ(step_until("'translated_guest_code'"), "lost: 0, not seen: none\n");
  gdb("break ringside::cli::(anonymous namespace)::note");
  EXPECT_THAT(gdb("signal SIGTERM"), HasSubstr("Breakpoint 2, "));
  EXPECT_THAT(gdb("backtrace"), ContainsRegex("<signal handler called>\n"
                                              "#[0-9]+ +[^\n]* in translated_guest_code [^\n]*\n"
                                              "#[^$]* in main "));
  gdb("delete");
  const std::string end = gdb("continue");
  EXPECT_THAT(end, HasSubstr("ringside: ended by SIGTERM\n"));
  EXPECT_THAT(end, HasSubstr("exited with code 04]"));
}

}  // namespace
}  // namespace ringside::testing
