// Moments of a run, as a user of stock GDB names them: where it is, goes and looks; what the past
// does not take, and how it becomes the present; and that nobody is left in it.
#include "gdb/past_fixture.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ReversePositions : public PastDialogue, public ::testing::WithParamInterface<unsigned> {
 protected:
  // The bytes of the damaged link, least significant first.
  std::string link() {
    std::string bytes;
    const std::uint64_t all = value("(long)book.accounts[0].next");
    for (unsigned i = 0; i < 8; ++i) {
      const std::string digits = hex_number(all >> (8 * i) & 0xff);
      bytes += (digits.size() == 1 ? "0" : "") + digits;
    }
    return bytes;
  }
  std::string address(const char* symbol) { return "0x" + hex_number((*guest_)[symbol]); }
  std::string link_address() { return "0x" + hex_number((*guest_)["book"] + 256); }
};

TEST_P(ReversePositions, AreCountsAndNames) {
  begin_ledger(GetParam());
  connect();
  EXPECT_THAT(gdb("monitor when"),
              StartsWith("at 0\nvirtual time 0.000000000 s, in the present; "));
  EXPECT_THAT(gdb("monitor bookmarks"), HasSubstr("There are no bookmarks."));
  run_until_broken();
  const std::uint64_t present = now();
  EXPECT_THAT(
      gdb("monitor when"),
      ContainsRegex("^at [0-9]+\nvirtual time 0\\.[0-9]{9} s, in the present; history from 0 "
                    "to " +
                    std::to_string(present) +
                    "\ninputs before it: [0-9]+; since the last instruction: [0-9]+"
                    "\nvCPU 0: [0-9]+ instructions, rip 0x"));
  EXPECT_EQ(gdb("monitor bookmark found"), "found is at " + std::to_string(present) + "\n");
  go_to("-1000");
  EXPECT_EQ(now(), present - 1000);
  EXPECT_THAT(gdb("monitor when"), HasSubstr("in the past, at 99 % of the way"));
  const std::string registers = gdb("info registers");
  EXPECT_EQ(gdb("monitor bookmark"), "mark1 is at " + std::to_string(present - 1000) + "\n");
  go_to("start");
  EXPECT_EQ(now(), 0u);
  EXPECT_THAT(gdb("info threads"), AllOf(HasSubstr("_start"), Not(HasSubstr("vCPU 1"))));
  go_to("mark1");
  EXPECT_EQ(gdb("info registers"), registers);
  go_to(std::to_string(present / 2));
  EXPECT_EQ(now(), present / 2);
  go_to("found");
  EXPECT_EQ(now(), present);
  EXPECT_EQ(gdb("monitor bookmarks"), "found at " + std::to_string(present) + "\nmark1 at " +
                                          std::to_string(present - 1000) + "\n");
  EXPECT_THAT(gdb("monitor history"),
              ContainsRegex("^[0-9]+ marks from 0 to [0-9]+, [0-9]+ of 262144 KiB\n"));
  const std::string beyond = std::to_string(present + 1);
  EXPECT_EQ(gdb("monitor goto " + beyond), "goto: " + beyond + " is outside of the history, 0 to " +
                                               std::to_string(present) + "\n");
  EXPECT_THAT(gdb("monitor goto nowhere"),
              HasSubstr("'nowhere' is no count, no -N, not start, not present and no bookmark"));
  EXPECT_THAT(gdb("monitor bookmark 12"), HasSubstr("means something else to goto"));
  EXPECT_EQ(now(), present);
}

TEST_P(ReversePositions, LastWriteAndValueAt) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  const std::uint64_t present = now();
  const std::string damaged = link();
  const std::string said = gdb("monitor last-write " + link_address());
  std::smatch found;
  ASSERT_TRUE(std::regex_search(
      said, found,
      std::regex(
          "^at ([0-9]+)\nby vCPU 0, rip (0x[0-9a-f]+)\nold ([0-9a-f]{16})\nnew ([0-9a-f]{16})\n$")))
      << said;
  EXPECT_EQ(found[4], damaged);
  EXPECT_NE(found[3], damaged);
  EXPECT_EQ(
      gdb("monitor last-write physical " + link_address() + " 1").substr(0, found.position(3)),
      said.substr(0, found.position(3)));
  // It has only looked.
  EXPECT_EQ(now(), present);
  EXPECT_EQ(link(), damaged);
  const std::string count = found[1], before = found[3];
  EXPECT_EQ(gdb("monitor value-at " + count + " " + link_address() + " 8"),
            "at " + count + "\n" + before + "\n");
  EXPECT_EQ(gdb("monitor value-at start " + link_address() + " 8"), "at 0\n0000000000000000\n");
  EXPECT_EQ(gdb("monitor value-at present physical " + link_address() + " 8"),
            "at " + std::to_string(present) + "\n" + damaged + "\n");
  EXPECT_EQ(now(), present);
  go_to(count);
  EXPECT_THAT(gdb("info symbol $pc"), HasSubstr("set_name"));
  EXPECT_EQ(value("(long)$pc"), std::stoull(found[2], nullptr, 16));
  EXPECT_EQ(link(), before);
  // From here it is the one before: when the list was made.
  const std::string earlier = gdb("monitor last-write " + link_address());
  EXPECT_THAT(earlier, HasSubstr("\nold 0000000000000000\nnew " + before + "\n"));
  EXPECT_EQ(now(), std::stoull(count));
  // A disk's answers are a device's writes.
  EXPECT_THAT(gdb("monitor last-write &sector"), HasSubstr("wants an address"));
  EXPECT_THAT(gdb("monitor last-write " + address("timer_ticks")),
              ContainsRegex("^at [0-9]+\nby vCPU 0, "));
  EXPECT_THAT(gdb("monitor last-write " + std::string("0x1f00000")),
              HasSubstr("nothing was written there since 0, where the history begins"));
  EXPECT_THAT(gdb("monitor last-write 0xffff900000000000"), HasSubstr("is not mapped now"));
  EXPECT_THAT(gdb("monitor value-at 1 2"), HasSubstr("wants a place, an address and a length"));
}

TEST_P(ReversePositions, ThePastIsFixedUntilItBranches) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  gdb("watch book.accounts[0].next");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  gdb("delete");
  const std::uint64_t length = value("$rdx");
  // Registers and memory, and what a command of the monitor would change. GDB shows the sentence
  // from version 16 on, and before that a number.
  EXPECT_THAT(gdb("set var $rdx = 15"), ContainsRegex("E2d|monitor branch"));
  EXPECT_THAT(gdb("set var rounds = 7"), ContainsRegex("Cannot access memory|monitor branch"));
  EXPECT_THAT(gdb("monitor msr 0x174 1"), HasSubstr("monitor branch"));
  gdb("maintenance flush register-cache");
  EXPECT_EQ(value("$rdx"), length);
  EXPECT_THAT(gdb("print rounds"), HasSubstr(" = 200\n"));
  EXPECT_EQ(gdb("monitor branch"), "What came after is forgotten: this is the present.\n");
  const std::uint64_t here = now();
  EXPECT_THAT(gdb("monitor when"),
              HasSubstr("in the present; history from 0 to " + std::to_string(here)));
  EXPECT_THAT(gdb("monitor branch"), HasSubstr("the guest is in the present"));
  // What would have damaged the list does not, and the guest never finds it broken.
  EXPECT_EQ(gdb("set var $pc = $pc + 8"), "");
  gdb("break set_name if rounds == 240");
  EXPECT_THAT(gdb("continue"), HasSubstr("set_name (account="));
  EXPECT_THAT(gdb("print broken"), HasSubstr(" = 0\n"));
  EXPECT_EQ(times_found(), 0u);
  // The new run has a past of its own, with the debugger's change in it.
  gdb("watch rounds");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("New value = 239"));
  gdb("delete");
  go_to(std::to_string(here + 1000));
  EXPECT_THAT(gdb("print book.accounts[0].next == &book.accounts[1]"), HasSubstr(" = 1\n"));
}

TEST_P(ReversePositions, CtrlCInTheMiddleOfALongWayBack) {
  begin_ledger(GetParam(), Start::Running);
  guest_->process().await(Stream::Output, kFound);
  connect();
  while (now() < 300'000'000)
    continue_and_interrupt();
  const std::uint64_t present = now();
  // Never true, and asked tens of thousands of times.
  gdb("break set_name if account == 99");
  EXPECT_THAT(gdb_->interrupt_command("reverse-continue", guest_->process()),
              HasSubstr("received signal SIG"));
  const std::uint64_t stopped = now();
  EXPECT_GT(stopped, 0u);
  EXPECT_LE(stopped, present);
  EXPECT_THAT(gdb("print broken"), HasSubstr(" = "));
  gdb("delete");
  gdb("tbreak set_name if rounds == 100");
  EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
  EXPECT_EQ(value("rounds"), 100u);
  // And forward to the present, with a Ctrl-C on the way.
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("received signal SIG"));
  go_to("present");
  EXPECT_GE(now(), present);
  const std::uint64_t rounds = value("rounds");
  gdb("detach");
  await_change(*guest_, (*guest_)["rounds"], rounds);
  EXPECT_EQ(times_found(), 1u);
}

// The first debugger went while it was in the past.
TEST_P(ReversePositions, WhoComesNextIsInThePresent) {
  begin_ledger(GetParam());
  connect();
  run_until_broken();
  const std::uint64_t present = now();
  for (const char* leave : {"detach", "disconnect", "kill"}) {
    SCOPED_TRACE(leave);
    go_to("start");
    EXPECT_THAT(gdb("print $pc == _start"), HasSubstr(" = 1\n"));
    gdb(leave);
    await_change(*guest_, (*guest_)["rounds"], 200);
    connect();
    EXPECT_THAT(gdb("monitor when"), HasSubstr("in the present"));
    EXPECT_GT(now(), present);
    EXPECT_THAT(gdb("print broken"), HasSubstr(" = 200\n"));
    // What was is still there, and can be gone to.
    gdb("break set_name if rounds == 150");
    EXPECT_THAT(gdb("reverse-continue"), HasSubstr("set_name (account="));
    gdb("delete");
  }
  gdb("detach");
  guest_->process().await(Stream::Output, kFound);
  EXPECT_EQ(times_found(), 1u);
}

// A register whose reading has an effect is read on purpose by an instruction; from a bookmark on
// it is as if that had never been.
TEST_F(PastDialogue, ADeviceIsReadOnPurpose) {
  begin("counters", {.start = Start::Running});
  guest_->await_said_numbers(1);
  connect();
  gdb("break *tick");
  gdb("continue");
  gdb("delete");
  guest_->process().write_input("x");
  const auto line_status = [&] { return gdb("monitor i 0x3fd"); };
  const std::string received = "portb[0x03fd] = 0x61\n", taken = "portb[0x03fd] = 0x60\n";
  for (const Deadline deadline; line_status() != received;)
    ASSERT_FALSE(deadline.passed());
  EXPECT_THAT(gdb("monitor i 0x3f8"), HasSubstr("= 0x78"));
  EXPECT_EQ(line_status(), received);  // a look takes nothing
  const std::string hash = gdb("monitor hash"), registers = gdb("info registers");
  gdb("monitor bookmark before");
  gdb("set $rdx = 0x3f8");
  gdb("set {char}$pc = 0xec");  // in al, dx
  gdb("stepi");
  EXPECT_THAT(gdb("print/x $al"), HasSubstr("= 0x78"));
  EXPECT_EQ(line_status(), taken);
  go_to("before");
  EXPECT_EQ(line_status(), received);
  EXPECT_EQ(gdb("monitor hash"), hash);
  EXPECT_EQ(gdb("info registers"), registers);
  EXPECT_THAT(gdb("monitor branch"), HasSubstr("this is the present"));
  EXPECT_THAT(continue_and_interrupt(), HasSubstr("SIGINT"));
  EXPECT_EQ(line_status(), received);
}

INSTANTIATE_TEST_SUITE_P(Vcpus, ReversePositions, ::testing::Values(1u, 2u, 4u),
                         [](const ::testing::TestParamInfo<unsigned>& one) {
                           return std::to_string(one.param);
                         });

}  // namespace
}  // namespace ringside::testing
