// What LLDB's users do, in each version that is installed.
#include <fstream>
#include <set>

#include "base/testing/temporary_folder.h"
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

// A whole session: into a function, over it, out of it, with two vCPUs.
TEST_P(Lldb, StepsInOverAndOut) {
  GuestProcess guest("demo", {.cpus = 2});
  const std::string said = talk(
      guest, {"breakpoint set -n look_at", "continue", "breakpoint disable 1", "thread step-over",
              "thread step-in", "bt", "thread step-out", "thread step-over",
              "frame variable worker->numbers", "thread step-out", "thread list", "detach"});
  EXPECT_THAT(said, HasSubstr("stop reason = breakpoint 1.1"));
  EXPECT_THAT(said, HasSubstr("stop reason = step in"));
  EXPECT_THAT(said, ContainsRegex("frame #0: 0x[0-9a-f]+ demo.elf`is_prime\\(number=[0-9]+\\)[^\n]*"
                                  "\n +frame #1: 0x[0-9a-f]+ demo.elf`look_at"));
  EXPECT_THAT(said, ContainsRegex("stop reason = step over\n +frame #0: [^\n]*`look_at"));
  EXPECT_THAT(said, ContainsRegex("\\(uint64_t\\) worker->numbers = [0-9]+"));
  EXPECT_THAT(said, ContainsRegex("stop reason = step out\n +frame #0: [^\n]*`(work|look_at)"));
  EXPECT_THAT(said, HasSubstr("name = 'vCPU 1'"));
  EXPECT_THAT(said, HasSubstr("detached"));
  EXPECT_TRUE(guest.running());
}

// LLDB's own way of waiting for a command ends with the guest's stop, so a guest that runs is
// interrupted through its API, as editors do. Then the same guest once more.
TEST_P(Lldb, InterruptsLeavesAndComesBack) {
  GuestProcess guest("demo", {.cpus = 2});
  const std::vector<std::string> interrupt{
      "script lldb.debugger.SetAsync(True)",
      "script continued = lldb.process.Continue(); print('continued:', continued)",
      // Another thread of LLDB's learns that the guest runs, and what does not run is not stopped.
      "script import time",
      "script while lldb.process.GetState() != lldb.eStateRunning: time.sleep(0.01)",
      "script print('stopped:', lldb.process.Stop())",
      "script print('state:', lldb.SBDebugger.StateAsCString(lldb.process.GetState()))",
      "script lldb.debugger.SetAsync(False)", "thread list", "detach"};
  for (int i = 0; i < 2; ++i) {
    const std::string said = talk(guest, interrupt);
    if (said.find("embedded script interpreter") != std::string::npos)
      GTEST_SKIP() << "this LLDB has no Python";
    EXPECT_THAT(said, HasSubstr("continued: success"));
    EXPECT_THAT(said, HasSubstr("stopped: success"));
    EXPECT_THAT(said, HasSubstr("state: stopped"));
    EXPECT_THAT(said, ContainsRegex("thread #1.*stop reason = signal SIG"));
    EXPECT_THAT(said, HasSubstr("detached"));
    EXPECT_TRUE(guest.running());
  }
}

// What LLDB cannot do here it says, and changes nothing in the guest.
TEST_P(Lldb, RefusesToCallFunctionsOfTheGuest) {
  GuestProcess guest("demo");
  const std::string said =
      talk(guest, {"breakpoint set -n look_at", "continue", "register read rip",
                   "expression --allow-jit true -- is_prime(7)", "register read rip", "detach"});
  EXPECT_THAT(said, HasSubstr("stop reason = breakpoint 1.1"));
  EXPECT_THAT(said, ContainsRegex("error: .*expression"));
  EXPECT_TRUE(guest.running());
}

// Which packets an LLDB sent that got the empty reply, "not supported".
std::set<std::string> unsupported(const std::filesystem::path& log) {
  std::ifstream file(log);
  std::set<std::string> packets;
  std::string last;
  for (std::string line; std::getline(file, line);) {
    const std::size_t sent = line.find("send packet: $");
    if (sent != std::string::npos) last = line.substr(sent + 14, line.rfind('#') - sent - 14);
    if (line.find("read packet: $#00") != std::string::npos) packets.insert(last);
  }
  return packets;
}

TEST_P(Lldb, GetsAnAnswerToWhatItAsks) {
  const TemporaryFolder folder;
  GuestProcess guest("demo", {.cpus = 2});
  before_connecting = {"log enable -f " + (folder / "log").string() + " gdb-remote packets"};
  const std::string said =
      talk(guest, {"breakpoint set -n look_at", "continue", "expression worker->numbers = 5",
                   "watchpoint set variable workers[0].numbers", "thread step-over", "detach"});
  EXPECT_THAT(said, HasSubstr("detached"));
  // Of Darwin, of debug servers that start programs, of older descriptions of registers, and what
  // is about files that were loaded.
  const std::set<std::string> foreign{"jThreadExtendedInfo:",
                                      "qStructuredDataPlugins",
                                      "qVAttachOrWaitSupported",
                                      "qSymbol::",
                                      "qOffsets",
                                      "qShlibInfoAddr"};
  for (const std::string& packet : unsupported(folder / "log"))
    EXPECT_TRUE(foreign.contains(packet)) << packet;
}

INSTANTIATE_TEST_SUITE_P(Installed, Lldb,
                         ::testing::Values("lldb", "lldb-14", "lldb-19", "lldb-21"), lldb_name);

}  // namespace
}  // namespace ringside::testing
