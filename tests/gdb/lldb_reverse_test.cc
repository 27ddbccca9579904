// `process continue --reverse`, which LLDB has since 21: to breakpoints and the store that damaged
// a list, to where history begins, and forward again.
#include <unistd.h>

#include <fstream>

#include "base/testing/temporary_folder.h"
#include "gdb/lldb_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class LldbReverse : public LldbDialogue {
 protected:
  void SetUp() override {
    LldbDialogue::SetUp();
    if (IsSkipped()) return;
    if (engine() != "soft") GTEST_SKIP() << "the past is the software CPU's";
    ChildProcess help({GetParam(), "--no-lldbinit", "--batch", "-o", "help process continue"});
    help.await_exit();
    if (help.text(ChildProcess::Stream::Output).find("--reverse") == std::string::npos)
      GTEST_SKIP() << "this LLDB has no 'process continue --reverse' (21 has)";
    std::ofstream(folder_ / "disk") << std::string(16 * 512, '.');
  }
  GuestOptions options(unsigned cpus) const {
    return {.cpus = cpus, .arguments = {"-d", folder_ / "disk"}};
  }

  TemporaryFolder folder_;
};

// Everything that follows `marker`, up to its next occurrence.
std::vector<std::string> pieces(const std::string& text, const std::string& marker) {
  std::vector<std::string> result;
  for (std::size_t at = text.find(marker); at != std::string::npos;) {
    const std::size_t next = text.find(marker, at + marker.size());
    result.push_back(text.substr(at, next - at));
    at = next;
  }
  return result;
}

TEST_P(LldbReverse, FindsWhoHasDamagedTheList) {
  for (const unsigned cpus : {1u, 2u, 4u}) {
    GuestProcess guest("ledger", options(cpus));
    const std::string said =
        talk(guest, {"watchpoint set variable broken", "continue", "watchpoint delete 1",
                     "watchpoint set variable book.accounts[0].next", "process continue --reverse",
                     "bt", "process continue --reverse", "process continue --reverse",
                     "register read rip", "process continue --forward", "continue",
                     "watchpoint delete 2", "breakpoint set -n set_name -c 'rounds == 230'",
                     "continue", "expression rounds", "detach"});
    // Back: before the store each time, once for each; forward: after it.
    EXPECT_THAT(said, ContainsRegex("new value: 0x0*129330\n(.*\n)*.*stop reason = watchpoint 2\n"
                                    ".*set_name\\(.*length=16\\)"));
    EXPECT_THAT(said, HasSubstr("`keep_books"));
    EXPECT_THAT(said, HasSubstr("new value: 0x0000000000000000"));
    EXPECT_THAT(said, HasSubstr("stop reason = the past that is kept begins here"));
    EXPECT_THAT(said, ContainsRegex("rip = 0x0*" + hex_number(guest["_start"])));
    EXPECT_EQ(pieces(said, "stop reason = watchpoint 2").size(), 5u) << said;
    EXPECT_THAT(said, ContainsRegex("stop reason = breakpoint 1.1(.*\n)*.* = 230\n"));
    EXPECT_THAT(said, Not(HasSubstr("error")));
    EXPECT_THAT(said, HasSubstr("detached"));
    guest.process().await(ChildProcess::Stream::Output, "the list is broken\n");
  }
}

// It leaves its breakpoints in place when it goes back, evaluates conditions itself, and goes on
// from each that is false.
TEST_P(LldbReverse, BreakpointsAndConditions) {
  GuestProcess guest("ledger", options(2));
  const std::string said = talk(guest, {"breakpoint set -n add_up -c 'rounds == 30'",
                                        "continue",
                                        "breakpoint disable 1",
                                        "breakpoint set -n set_name",
                                        "process continue -R",
                                        "expression rounds",
                                        "process continue -R",
                                        "expression rounds",
                                        "breakpoint delete 2",
                                        "breakpoint set -n set_name -c 'rounds == 12'",
                                        "process continue -R",
                                        "expression rounds",
                                        "thread step-inst",
                                        "thread step-over",
                                        "breakpoint delete 3",
                                        "breakpoint enable 1",
                                        "process continue -F",
                                        "expression rounds",
                                        "process plugin packet monitor when",
                                        "expression broken = 5"});
  std::vector<std::string> rounds;
  for (const std::string& piece : pieces(said, "expression rounds")) {
    const std::size_t at = piece.find(" = ");
    rounds.push_back(piece.substr(at, piece.find('\n', at) - at));
  }
  EXPECT_THAT(rounds, ::testing::ElementsAre(" = 30", " = 29", " = 12", " = 30")) << said;
  EXPECT_THAT(said, HasSubstr("stop reason = instruction step into"));
  EXPECT_THAT(said, HasSubstr("stop reason = step over"));
}

// A change of the past fails, and LLDB's session goes on.
TEST_P(LldbReverse, ThePastIsFixed) {
  for (const char* change : {"expression broken = 5", "register write rax 5"}) {
    GuestProcess guest("ledger", options(1));
    const std::string said =
        talk(guest, {"breakpoint set -n set_name", "continue", "process continue -R", change});
    EXPECT_THAT(said, ContainsRegex("error: .*")) << change;
    EXPECT_TRUE(guest.running());
  }
}

INSTANTIATE_TEST_SUITE_P(Installed, LldbReverse,
                         ::testing::Values("lldb", "lldb-14", "lldb-19", "lldb-21"), lldb_name);

}  // namespace
}  // namespace ringside::testing
