// What LLDB's users do, in each version that is installed.
#include "gdb/lldb_fixture.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class Lldb : public LldbDialogue {};

std::string number(std::uint64_t value) { return "0x" + hex_number(value); }

TEST_P(Lldb, ConnectsBreaksStepsAndReads) {
  GuestProcess guest("counters");
  const std::string tick = number(guest["tick"]);
  const std::string counter =
      "memory read --format x --size 8 --count 1 " + number(guest["counters"]);
  const std::string said =
      talk(guest, {"breakpoint set --address " + tick, "continue", "register read rip", counter,
                   "thread step-inst", counter, "register read rip",
                   "process plugin packet monitor vcpus", "detach"});
  EXPECT_THAT(said, HasSubstr("stop reason = breakpoint 1.1"));
  EXPECT_THAT(said, ContainsRegex("rip = 0x0*" + tick.substr(2)));
  EXPECT_THAT(said, HasSubstr("0x0000000000000000\n"));
  EXPECT_THAT(said, HasSubstr("stop reason = instruction step into"));
  EXPECT_THAT(said, HasSubstr("0x0000000000000001\n"));
  EXPECT_THAT(said, HasSubstr("response: " + hex("* CPU #0: thread 1")));
  EXPECT_THAT(said, HasSubstr("detached"));
  EXPECT_TRUE(guest.running());
}

// Before each expression LLDB looks for addresses that are not in use.
TEST_P(Lldb, EvaluatesExpressions) {
  GuestProcess guest("demo");
  const std::string said =
      talk(guest, {"breakpoint set -n look_at", "continue", "bt", "frame variable worker",
                   "expression number + 2", "expression worker->name", "expression workers[1].vcpu",
                   "expression worker->numbers = 77", "expression $rsp",
                   "expression *(unsigned long*)$rsp", "memory read --count 16 $rsp",
                   "thread step-out", "detach"});
  EXPECT_THAT(said, ContainsRegex("look_at\\(worker=0x[0-9a-f]+, number=0\\)"));
  EXPECT_THAT(said, HasSubstr(" = 2\n"));
  EXPECT_THAT(said, HasSubstr("\"anna\""));
  EXPECT_THAT(said, HasSubstr(" = 1\n"));
  EXPECT_THAT(said, HasSubstr(" = 77\n"));
  // What the stack pointer leads to is the return address into work().
  EXPECT_THAT(said, ContainsRegex("frame #1: 0x[0-9a-f]+ demo.elf`work"));
  EXPECT_THAT(said, HasSubstr("stop reason = step out"));
  EXPECT_THAT(said, HasSubstr("detached"));
  EXPECT_TRUE(guest.running());
}

TEST_P(Lldb, ReadsTheMemoryOfARegister) {
  GuestProcess guest("demo");
  const std::string said = talk(guest, {"breakpoint set -n look_at", "continue",
                                        "memory read --format x --size 8 --count 1 $rdi",
                                        "memory region $rdi", "expression (void*)$rdi", "detach"});
  const std::string workers = hex_number(guest["workers"]);
  EXPECT_THAT(said, ContainsRegex("0x0*" + workers + ": 0x[0-9a-f]+\n"));
  EXPECT_THAT(said, ContainsRegex("\\[0x[0-9a-f]+-0x[0-9a-f]+\\) rwx"));
  EXPECT_THAT(said, HasSubstr("detached"));
}

// The guest maps the first GiB to itself, and then a window of pages with holes in it.
TEST_P(Lldb, MemoryRegionsAreThoseOfThePageTables) {
  GuestProcess guest("pages");
  const std::uint64_t window = guest["window"];
  const std::string said =
      talk(guest, {"breakpoint set --address " + number(guest["user_loop"]), "continue",
                   "memory region " + number(window), "memory region " + number(window + 0x3000),
                   "memory region " + number(window + 0x4000), "detach"});
  const auto range = [&](std::uint64_t first, std::uint64_t end, const char* rights) {
    return "[0x" + std::string(16 - hex_number(first).size(), '0') + hex_number(first) + "-0x" +
           std::string(16 - hex_number(end).size(), '0') + hex_number(end) + ") " + rights;
  };
  EXPECT_THAT(said, HasSubstr(range(0, window + 0x3000, "rwx")));
  EXPECT_THAT(said, HasSubstr(range(window + 0x3000, window + 0x4000, "---")));
  EXPECT_THAT(said, HasSubstr(range(window + 0x4000, window + 0x5000, "r-x")));
}

TEST_P(Lldb, Watches) {
  GuestProcess guest("demo");
  const std::string said =
      talk(guest, {"breakpoint set -n look_at", "continue", "breakpoint delete 1",
                   "watchpoint set variable workers[0].numbers", "continue",
                   "expression workers[0].numbers", "watchpoint delete 1", "detach"});
  EXPECT_THAT(said, HasSubstr("stop reason = watchpoint 1"));
  EXPECT_THAT(said, HasSubstr("new value: 1"));
  EXPECT_THAT(said, ContainsRegex("\\$[0-9]+ = 1\n"));
  EXPECT_THAT(said, HasSubstr("detached"));
}

INSTANTIATE_TEST_SUITE_P(Installed, Lldb,
                         ::testing::Values("lldb", "lldb-14", "lldb-19", "lldb-21"), lldb_name);

}  // namespace
}  // namespace ringside::testing
