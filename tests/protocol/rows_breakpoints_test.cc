// Rows 32 to 43: breakpoints, the guest's own int3, and the form of stop replies.
#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

TEST_F(Protocol, Row32_ABreakpointIsReportedOnceAtItsAddress) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  client.resume();
  EXPECT_EQ(client.await_stop().signal, 5u);
  for (std::uint64_t round = 0; round < 20; ++round) {
    EXPECT_EQ(client.rip(), guest["tick"]);
    EXPECT_EQ(client.read_u64(guest["counters"]), round);
    EXPECT_EQ(client.resume_past(guest["tick"]).signal, 5u);
  }
  EXPECT_EQ(client.request("qC"), "QC01");
}

// The server steps past it by itself; stock GDB does so before it continues.
TEST_F(Protocol, Row32_ContinuingOnABreakpointGoesPastIt) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  for (std::uint64_t round = 0; round < 20; ++round) {
    client.resume();
    EXPECT_EQ(client.await_stop().vcpu, 0u);
    EXPECT_EQ(client.rip(), guest["tick"]);
    EXPECT_EQ(client.read_u64(guest["counters"]), round);
  }
}

// Agent bytecode: the vCPU's own counter is `wanted`. const32 counters, reg rdi, const8 3, lsh,
// add, ref64, const32 wanted, equal, end.
std::string own_counter_is(const GuestProcess& guest, std::uint64_t wanted) {
  const auto const32 = [](std::uint64_t value) {
    const std::string digits = hex_number(value);
    return "24" + std::string(8 - digits.size(), '0') + digits;
  };
  const std::string code = const32(guest["counters"]) + "260005" + "2203" + "09" + "02" + "1a" +
                           const32(wanted) + "1327";
  return ";X" + hex_number(code.size() / 2) + "," + code;
}

// False on two vCPUs hundreds of times, and true at the right one.
TEST_F(Protocol, Row32_AConditionIsEvaluatedInTheServer) {
  GuestProcess guest("counters", {.cpus = 2});
  DebugClient client = guest.attach();
  client.resume();
  guest.await_said_numbers(2);
  client.stop();
  std::uint64_t most = 0;
  for (const std::uint64_t offset : {0u, 8u})
    most = std::max(most, client.read_u64(guest["counters"] + offset));
  const std::uint64_t wanted = most + 500;
  const std::string place = "Z0," + hex_number(guest["tick"]) + ",1";
  for (const std::uint64_t more : {0u, 300u}) {
    ASSERT_EQ(client.request(place + own_counter_is(guest, wanted + more)), "OK");
    client.resume();
    const StopReply stop = client.await_stop();
    ASSERT_EQ(stop.signal, 5u);
    EXPECT_EQ(client.rip(), guest["tick"]);
    EXPECT_EQ(client.read_u64(guest["counters"] + 8 * stop.vcpu.value_or(0)), wanted + more);
  }
  client.remove(guest["tick"]);
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
}

TEST_F(Protocol, Row33_InsertingAndRemovingAreIdempotent) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::string code = client.read(guest["tick"], 8);
  client.insert(guest["tick"]);
  client.insert(guest["tick"]);
  client.remove(guest["tick"]);
  EXPECT_EQ(client.read(guest["tick"], 8), code);
  client.remove(guest["tick"]);
  client.remove(guest["tick"] + 1);  // never inserted
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.stop();
  EXPECT_GT(client.read_u64(guest["counters"]), 0u);
}

TEST_F(Protocol, Row34_KindAndPlaceAreChecked) {
  NEEDS(Feature::EveryInstruction);
  GuestProcess guest("pages");
  DebugClient client = guest.attach();
  client.run_to(guest["user_loop"]);
  const std::string loop = hex_number(guest["user_loop"]);
  for (const char* wrong : {",2", ",0", ",", "", ",1x"})
    EXPECT_EQ(client.request("Z0," + loop + wrong), "E16") << wrong;
  EXPECT_EQ(client.request("Z0"), "E16");
  EXPECT_EQ(client.request("Z0,,1"), "E16");
  EXPECT_EQ(client.request("Z0," + hex_number(guest["window"] + 0x3000) + ",1"), "E0e");
  EXPECT_EQ(client.request("Z0,fee00000,1"), "E0e");
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
}

TEST_F(Protocol, Row35_OtherKindsAreRefusedOrWork) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  for (const char* type : {"1", "2", "3", "4"}) {
    const bool watch = *type != '1';
    const std::string rest = std::string(type) + "," +
                             hex_number(watch ? guest["counters"] : guest["tick"]) +
                             (watch ? ",8" : ",1");
    const std::string reply = client.request("Z" + rest);
    if (reply.empty()) continue;
    ASSERT_EQ(reply, "OK") << rest;
    client.resume();
    const StopReply stop = client.await_stop();
    const char* const reasons[] = {"hwbreak", "watch", "rwatch", "awatch"};
    if (watch) {
      const auto address = stop.field(reasons[*type - '1']);
      ASSERT_TRUE(address) << stop.text;
      EXPECT_EQ(std::stoull(*address, nullptr, 16), guest["counters"]);
    } else {
      EXPECT_EQ(client.rip(), guest["tick"]);
    }
    EXPECT_EQ(client.request("z" + rest), "OK");
  }
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
}

TEST_F(Protocol, Row36_DisconnectingTakesBreakpointsOut) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  client.resume();
  client.await_stop();
  client.reset();
  // A byte left behind would be a #BP, and without an interrupt table the end of this guest.
  EXPECT_GT(await_change(guest, guest["counters"], 0), 0u);
  EXPECT_TRUE(guest.running());
}

TEST_F(Protocol, Row37_ABreakpointIsHitThroughEveryAliasAndByEveryVcpu) {
  GuestProcess guest("aliases", {.cpus = 2, .start = Start::Running});
  guest.await_said("01");
  DebugClient client = guest.attach();
  client.insert(guest["function"]);
  std::set<std::pair<unsigned, std::uint64_t>> seen;
  client.resume();
  StopReply stop = client.await_stop();
  for (int i = 0; i < 10000 && seen.size() < 4; ++i) {
    const std::uint64_t rip = client.rip();
    seen.insert({stop.vcpu.value(), rip});
    stop = client.resume_past(rip);
  }
  const std::set<std::pair<unsigned, std::uint64_t>> all = {
      {0u, guest["function"]}, {0u, guest["alias"]}, {1u, guest["function"]}, {1u, guest["alias"]}};
  EXPECT_EQ(seen, all);
}

TEST_F(Protocol, Row38_AVcpuStartedLaterHitsAnEarlierBreakpoint) {
  GuestProcess guest("counters", {.cpus = 2});
  DebugClient client = guest.attach();
  client.write_u8(guest["hold"], 1);
  client.resume();
  EXPECT_TRUE(client.silent_for(kQuiet));
  client.stop();
  client.insert(guest["tick"]);
  client.write_u8(guest["hold"], 0);
  std::set<unsigned> seen;
  for (int i = 0; i < 10000 && seen.size() < 2; ++i)
    seen.insert(client.resume_past(guest["tick"]).vcpu.value());
  EXPECT_EQ(seen, (std::set<unsigned>{0, 1}));
}

class Int3 : public Protocol {
 protected:
  void SetUp() override {
    Protocol::SetUp();
    if (!IsSkipped()) NEEDS(Feature::EveryInstruction);
  }
  // The frames that the guest's handler saw are those of its own instructions, and nothing was
  // reported to us.
  static void expect_own_breakpoints(GuestProcess& guest, DebugClient& client) {
    client.resume();
    EXPECT_TRUE(client.silent_for(kQuiet));
    client.stop();
    EXPECT_GT(client.read_u64(guest["rounds"]), 1u);
    EXPECT_EQ(client.read_u64(guest["frames"]), guest["plain"] + 1);
    EXPECT_EQ(client.read_u64(guest["frames"] + 8), guest["prefixed"] + 2);
    EXPECT_EQ(client.read_u64(guest["frames"] + 16), guest["long_form"] + 2);
  }
};

TEST_F(Int3, Row39_TheGuestsOwnInt3IsItsOwn) {
  GuestProcess guest("int3");
  DebugClient client = guest.attach();
  expect_own_breakpoints(guest, client);
}

TEST_F(Int3, Row39_AlsoWhileBreakpointsAreSet) {
  GuestProcess guest("int3");
  DebugClient client = guest.attach();
  client.insert(guest["ap_main"]);  // nothing comes by here
  expect_own_breakpoints(guest, client);
}

TEST_F(Int3, Row40_APrefixedInt3KeepsItsLength) {
  GuestProcess guest("int3");
  DebugClient client = guest.attach();
  client.insert(guest["ap_main"]);
  client.run_to(guest["prefixed"]);
  client.run_to(guest["long_form"]);
  EXPECT_EQ(client.read_u64(guest["frames"] + 8), guest["prefixed"] + 2);
}

TEST_F(Int3, Row40_ABreakpointOnTheGuestsInt3IsOursFirst) {
  GuestProcess guest("int3");
  DebugClient client = guest.attach();
  client.insert(guest["plain"]);
  client.resume();
  EXPECT_EQ(client.await_stop().vcpu, 0u);
  EXPECT_EQ(client.rip(), guest["plain"]);
  client.resume_past(guest["plain"]);  // the guest's own handler runs, and round again
  EXPECT_EQ(client.rip(), guest["plain"]);
  EXPECT_EQ(client.read_u64(guest["rounds"]), 1u);
  EXPECT_EQ(client.read_u64(guest["frames"]), guest["plain"] + 1);
}

TEST_F(Protocol, Row41_StopRepliesNameTheThread) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  client.insert(guest["tick"]);
  client.resume();
  EXPECT_EQ(client.receive(), "T05thread:01;");
  EXPECT_EQ(client.request("s"), "T05thread:01;");
}

TEST_F(Protocol, Row42_SwbreakForAClientThatAnnouncesIt) {
  for (const char* features :
       {"swbreak+", "multiprocess-;swbreak+;xmlRegisters=i386", "swbreak+;hwbreak+"}) {
    GuestProcess guest("counters");
    DebugClient client = guest.attach();
    client.request(std::string("qSupported:") + features);
    client.insert(guest["tick"]);
    client.resume();
    EXPECT_EQ(client.receive(), "T05thread:01;swbreak:;") << features;
    EXPECT_EQ(client.request("?"), "T05thread:01;swbreak:;") << features;
    EXPECT_EQ(client.request("s"), "T05thread:01;") << features;
  }
}

TEST_F(Protocol, Row42_NoSwbreakForAClientThatDoesNot) {
  for (const char* features : {"qSupported", "qSupported:swbreak-", "qSupported:xswbreak+"}) {
    GuestProcess guest("counters");
    DebugClient client = guest.attach();
    client.request(features);
    client.insert(guest["tick"]);
    client.resume();
    EXPECT_EQ(client.receive(), "T05thread:01;") << features;
  }
}

TEST_F(Protocol, Row42_FeaturesEndWithTheSession) {
  GuestProcess guest("counters");
  DebugClient first = guest.attach();
  first.request("qSupported:swbreak+");
  first.detach();
  DebugClient second = guest.attach();
  second.insert(guest["tick"]);
  second.resume();
  EXPECT_EQ(second.receive(), "T05thread:01;");
}

TEST_F(Protocol, Row43_SupportedFeatures) {
  GuestProcess guest("counters");
  DebugClient client = guest.attach();
  const std::string reply = ";" + client.request("qSupported:swbreak+") + ";";
  EXPECT_NE(reply.find(";swbreak+;"), std::string::npos) << reply;
  EXPECT_NE(reply.find(";qXfer:features:read+;"), std::string::npos) << reply;
  const std::size_t at = reply.find(";PacketSize=");
  ASSERT_NE(at, std::string::npos) << reply;
  // The size is meant: a packet of just so many characters is taken.
  const std::size_t size = std::stoull(reply.substr(at + 12), nullptr, 16);
  ASSERT_GE(size, 0x400u);
  const std::string start = "M" + hex_number(guest["counters"] + 0x1000) + ",";
  std::size_t bytes = (size - start.size() - 10) / 2;
  client.write(guest["counters"] + 0x1000, std::string(bytes, 'x'));
  bytes = (size - 16) / 2;
  EXPECT_EQ(client.read(0x400000, bytes).size(), bytes);
}

}  // namespace
}  // namespace ringside::testing
