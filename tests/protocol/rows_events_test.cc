// Rows 49 to 57: several vCPUs with something to tell at once.
#include <algorithm>

#include "protocol/protocol_test.h"
#include "support/effort.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Row49_SimultaneousBreakpointsAreReportedOneByOneAndNoneIsLost) {
  constexpr unsigned kVcpus = 4;
  GuestProcess guest("counters", {.cpus = kVcpus});
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  client.resume();
  StopReply stop = client.await_stop();
  std::array<std::uint64_t, kVcpus> reports{};
  for (int i = 0; i < 10000 && *std::min_element(reports.begin(), reports.end()) < 50; ++i) {
    const unsigned vcpu = stop.vcpu.value();
    ASSERT_LT(vcpu, kVcpus);
    ASSERT_EQ(client.rip(), guest["tick"]);
    // As many reports as times that the instruction is reached: none lost, none twice.
    ASSERT_EQ(client.read_u64(guest["counters"] + 8 * vcpu), reports[vcpu]++);
    stop = client.resume_past(guest["tick"]);
  }
  EXPECT_GE(*std::min_element(reports.begin(), reports.end()), 50u);
}

// The same with the server stepping past it.
TEST_F(Protocol, Row49_OneReportPerContinue) {
  constexpr unsigned kVcpus = 4;
  GuestProcess guest("counters", {.cpus = kVcpus});
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  std::array<std::uint64_t, kVcpus> reports{};
  for (int i = 0; i < 20000 && *std::min_element(reports.begin(), reports.end()) < 50; ++i) {
    client.resume();
    const unsigned vcpu = client.await_stop().vcpu.value();
    ASSERT_EQ(client.read_u64(guest["counters"] + 8 * vcpu), reports[vcpu]++);
  }
  EXPECT_GE(*std::min_element(reports.begin(), reports.end()), 50u);
}

TEST_F(Protocol, Row50_AnEventWhoseBreakpointIsGoneIsDiscarded) {
  constexpr unsigned kVcpus = 4;
  GuestProcess guest("counters", {.cpus = kVcpus, .start = Start::Running});
  guest.await_said_numbers(kVcpus);
  DebugClient client = guest.attach();
  for (int i = 0; i < 50; ++i) {
    client.insert(guest["tick"]);
    client.resume();
    client.await_stop();
    client.remove(guest["tick"]);
    // Wherever the others were caught, none of them is reported, none gets a #BP (which would end
    // this guest), and all of them get on.
    std::array<std::uint64_t, kVcpus> before;
    for (unsigned v = 0; v < kVcpus; ++v)
      before[v] = client.read_u64(guest["counters"] + 8 * v);
    client.resume();
    bool all = false;
    for (const Deadline deadline; !all && !deadline.passed();) {
      const StopReply stop = client.stop();
      ASSERT_FALSE(stop.vcpu) << stop.text;
      all = true;
      for (unsigned v = 0; v < kVcpus; ++v)
        all = all && client.read_u64(guest["counters"] + 8 * v) > before[v];
      if (!all) client.resume();
    }
    ASSERT_TRUE(all);
  }
}

TEST_F(Protocol, Row51_AnEventThatRacesWithCtrlCGivesOneReply) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  client.set_acks(Acks::Manual);
  const unsigned rounds = test_events(10000);
  for (unsigned i = 0; i < rounds; ++i) {
    client.send_bytes(i % 2 == 0 ? "$c#63\x03" : "$c#63");
    if (i % 2 != 0) client.interrupt();
    const StopReply stop = client.await_stop();
    client.send_bytes("+");
    ASSERT_EQ(stop.signal, 5u) << stop.text;
    // What comes next is the answer to the next question, not a second stop reply.
    client.send_bytes("$T01#b5");
    ASSERT_EQ(client.receive(), "OK") << "after " << i << " rounds";
    client.send_bytes("+");
  }
}

TEST_F(Protocol, Row52_NothingRunsAfterTheReport) {
  constexpr unsigned kVcpus = 4;
  GuestProcess guest("counters", {.cpus = kVcpus, .start = Start::Running});
  guest.await_said_numbers(kVcpus);
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  for (int i = 0; i < 50; ++i) {
    client.resume();
    client.await_stop();
    const std::string before = client.read(guest["counters"], 8 * kVcpus);
    for (int again = 0; again < 5; ++again)
      ASSERT_EQ(client.read(guest["counters"], 8 * kVcpus), before);
  }
}

TEST_F(Protocol, Row53_AVcpuThatStartsWhileStoppedIsParked) {
  GuestProcess guest("counters", {.cpus = 2});
  DebugClient client = guest.attach();
  client.run_to(guest["send_start_up"]);
  EXPECT_EQ(client.threads().size(), 1u);
  // Only vCPU 0 steps; the other one comes alive in the course of it and must not run. On KVM it
  // does so on a thread of its own, which a busy host may let wait for longer than the steps take.
  int steps = 0;
  for (const Deadline deadline; client.threads().size() == 1 && !deadline.passed();) {
    if (steps++ < 6) {
      EXPECT_EQ(client.step().vcpu, 0u);
    }
  }
  EXPECT_EQ(client.threads(), (std::vector<std::string>{"01", "02"}));
  client.select(1);
  const std::string at_start = client.request("g");
  client.select(0);
  client.step();
  client.select(1);
  EXPECT_EQ(client.request("g"), at_start);
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.resume();
  guest.await_said("01");
}

TEST_F(Protocol, Row54_AVcpuThatWasNotStartedDoesNotRun) {
  GuestProcess guest("counters", {.cpus = 3});
  DebugClient client = guest.attach();
  client.write_u8(guest["hold"], 1);
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.stop();
  EXPECT_EQ(client.threads(), std::vector<std::string>{"01"});
  EXPECT_EQ(client.read(guest["counters"], 24), std::string(24, '\0'));
  EXPECT_EQ(client.request("T2"), "E16");
}

TEST_F(Protocol, Row55_HaltedVcpusStopAndStayHalted) {
  constexpr unsigned kVcpus = 4;
  GuestProcess guest("halt", {.cpus = kVcpus, .start = Start::Running});
  guest.await_said_numbers(kVcpus);
  DebugClient client = guest.attach();
  for (int i = 0; i < 3; ++i) {
    client.resume();
    EXPECT_TRUE(client.silent_for(kQuiet));
    client.interrupt();
    client.await_stop(Deadline(std::chrono::seconds(1)));
  }
  for (unsigned vcpu = 0; vcpu < kVcpus; ++vcpu) {
    client.select(vcpu);
    EXPECT_EQ(client.rip(), guest["after_hlt"]) << vcpu;
    EXPECT_EQ(client.read_u64(guest["wakes"] + 8 * vcpu), 0u) << vcpu;
  }
  // An interrupt does wake one: an interprocessor interrupt from vCPU 2 to itself.
  client.select(2);
  client.write(0xfee00300, little_endian(0x40041, 4));
  client.insert(guest["after_hlt"]);
  client.resume();
  EXPECT_EQ(client.await_stop().vcpu, 2u);
  EXPECT_EQ(client.read_u64(guest["sent"]), 1u);
}

TEST_F(Protocol, Row56_TheCurrentVcpuFollowsTheEvent) {
  GuestProcess guest("spaces", {.cpus = 2, .start = Start::Running});
  guest.await_said("01");
  DebugClient client = guest.attach();
  client.select(0);
  client.insert(guest["loop"]);
  bool seen[2] = {};
  for (int i = 0; i < 10000 && !(seen[0] && seen[1]); ++i) {
    const unsigned vcpu = client.resume_past(guest["loop"]).vcpu.value();
    seen[vcpu] = true;
    EXPECT_EQ(client.registers()[kRdi], vcpu);
    EXPECT_EQ(client.read(guest["private"], 8), vcpu == 0 ? "space  A" : "space  B");
  }
  EXPECT_TRUE(seen[0] && seen[1]);
}

TEST_F(Protocol, Row57_TheReasonCanBeAskedAgain) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said("01");
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  client.resume();
  const std::string reason = client.receive();
  const unsigned other = 1 - parse_stop(reason).vcpu.value();
  client.select(other);
  EXPECT_EQ(client.request("?"), reason);
  EXPECT_EQ(client.request("?"), reason);
  EXPECT_EQ(client.registers()[kRdi], other);
}

}  // namespace
}  // namespace ringside::testing
