// What lets a stopped guest go on, and from where: beyond the rows of docs/model.md.
#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

// A stop at `tick` of the guest `counters`, by a breakpoint of the given packet; nothing where the
// engine has no such breakpoints.
class Arrivals : public Protocol, public ::testing::WithParamInterface<const char*> {
 protected:
  // Whether the guest stands at the breakpoint, having executed `tick` this often.
  void expect_arrival(DebugClient& client, std::uint64_t ticks) {
    client.resume();
    client.await_stop();
    EXPECT_EQ(client.rip(), guest()["tick"]);
    EXPECT_EQ(client.read_u64(guest()["counters"]), ticks);
  }
  bool insert(DebugClient& client) {
    return client.request(std::string(GetParam()) + "," + hex_number(guest()["tick"]) + ",1") ==
           "OK";
  }

  void SetUp() override {
    Protocol::SetUp();
    if (!IsSkipped()) started_.emplace("counters");
  }
  GuestProcess& guest() { return *started_; }

 private:
  std::optional<GuestProcess> started_;
};

// The first register of `g` with another value, and the rest as it was.
std::string with_rax(const std::string& registers, std::uint64_t rax) {
  return hex(little_endian(rax, 8)) + registers.substr(16);
}

TEST_P(Arrivals, WritingAllRegistersIsOneOnlyWhereItMovesTheVcpu) {
  DebugClient client = guest().attach();
  if (!insert(client)) GTEST_SKIP() << "no such breakpoints";
  std::uint64_t ticks = 0;
  expect_arrival(client, ticks);
  for (const char* description : {"", "qXfer:features:read:target.xml:0,ffff"}) {
    if (*description != 0) client.request(description);
    const std::string before = client.request("g");
    ASSERT_EQ(client.request("G" + with_rax(before, 0x1234)), "OK");
    EXPECT_EQ(client.request("p0"), hex(little_endian(0x1234, 8)));
    expect_arrival(client, ++ticks);
    ASSERT_EQ(client.request("G" + client.request("g")), "OK");
    expect_arrival(client, ++ticks);
  }
}

TEST_P(Arrivals, WritingRipIsAlwaysOne) {
  DebugClient client = guest().attach();
  if (!insert(client)) GTEST_SKIP() << "no such breakpoints";
  expect_arrival(client, 0);
  const std::string there = hex(little_endian(guest()["tick"], 8));
  ASSERT_EQ(client.request("P10=" + there), "OK");
  expect_arrival(client, 0);
  // Away and back in two writes of everything.
  const std::string registers = client.request("g");
  std::string elsewhere = registers;
  elsewhere.replace(16 * 16, 16, hex(little_endian(guest()["entry_of_loop"], 8)));
  ASSERT_EQ(client.request("G" + elsewhere), "OK");
  ASSERT_EQ(client.request("G" + registers), "OK");
  expect_arrival(client, 0);
  expect_arrival(client, 1);
}

// More replies than the sockets between the two hold, which wait for the client to read them.
constexpr unsigned kManyReads = 1500;

void ask_for_more_than_fits(DebugClient& client, std::uint64_t address) {
  client.set_acks(Acks::Manual);
  std::string packets;
  for (unsigned i = 0; i < kManyReads; ++i)
    packets += RawClient::frame("m" + hex_number(address) + ",2000");
  client.send_bytes(packets);
}

// The program serves what stands behind them when the last of them is written: after the guest's
// turn, with nothing to wait for but the guest itself.
TEST_F(Protocol, AResumeBehindRepliesThatWaitedIsCarriedOut) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  ask_for_more_than_fits(client, guest["counters"]);
  client.send("c");
  for (unsigned i = 0; i < kManyReads; ++i)
    ASSERT_EQ(client.receive().size(), 0x4000u);
  EXPECT_EQ(client.await_stop().signal, 5u);
}

TEST_F(Protocol, AClientThatBreaksOffWithRepliesToComeLeavesTheGuestRunning) {
  for (const auto leave : {&RawClient::reset, &RawClient::close}) {
    GuestProcess guest("counters");
    DebugClient client = guest.attach();
    ask_for_more_than_fits(client, guest["counters"]);
    client.receive();  // the program is at it
    (client.*leave)();
    guest.await_said("0");
  }
}

// Where both happen in the same stop, which is a matter of luck.
TEST_F(Protocol, AStepBesideAReportedBreakpointIsNotReportedLater) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  DebugClient client = guest.attach();
  client.request("vCont?");
  client.insert(guest["tick"]);
  for (int i = 0; i < 50; ++i) {
    client.send("vCont;s:2;c");
    client.await_stop();
    client.send("vCont;c");
    const StopReply stop = client.await_stop();
    client.select(stop.vcpu.value());
    ASSERT_EQ(client.rip(), guest["tick"]) << stop.text;
  }
}

// A debugger that sends a halted vCPU elsewhere wants an instruction executed there, and no
// interrupt is needed for it.
TEST_F(Protocol, AWriteOfRipEndsHlt) {
  GuestProcess guest("halt", {.start = Start::Running});
  guest.await_said_numbers(1);
  DebugClient client = guest.attach();
  while (client.rip() != guest["after_hlt"]) {
    client.resume();
    client.stop();
  }
  // Writing anything else does not, and all registers with the same RIP are anything else.
  ASSERT_EQ(client.request("G" + with_rax(client.request("g"), 7)), "OK");
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.stop();
  EXPECT_EQ(client.rip(), guest["after_hlt"]);
  EXPECT_EQ(client.read_u64(guest["wakes"]), 0u);

  ASSERT_EQ(client.request("P10=" + hex(little_endian(guest["after_hlt"], 8))), "OK");
  client.step();  // incq
  EXPECT_EQ(client.read_u64(guest["wakes"]), 1u);
  client.step();  // jmp
  EXPECT_EQ(client.rip(), guest["at_hlt"]);
  client.resume();
  client.stop();
  while (client.rip() != guest["after_hlt"]) {
    client.resume();
    client.stop();
  }
  std::string registers = client.request("g");
  registers.replace(16 * 16, 16, hex(little_endian(guest["handler"], 8)));
  ASSERT_EQ(client.request("G" + registers), "OK");
  client.step();
  EXPECT_GT(client.rip(), guest["handler"]);
  EXPECT_EQ(client.read_u64(guest["wakes"]), 1u);
}

INSTANTIATE_TEST_SUITE_P(Breakpoints, Arrivals, ::testing::Values("Z0", "Z1"));

// Watched, or refused in words; and the guest goes on from there.
TEST_F(Protocol, AWatchpointOfAnyLengthIsAnswered) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  for (const char* length : {"10000000", "10000001", "10000000000", "ffffffffffffffff"}) {
    const std::string answer = client.request(std::string("Z2,0,") + length);
    EXPECT_TRUE(answer == "OK" || answer == "E16") << length << ": " << answer;
    client.request(std::string("z2,0,") + length);
    client.step();
  }
}

}  // namespace
}  // namespace ringside::testing
