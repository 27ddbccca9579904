// Reverse execution as a client sees it, packet by packet, on a machine that keeps every state.
#include <fmt/format.h>

#include "debug/testing/travel_bench.h"

namespace ringside::debug {
namespace {

using namespace testing;
using hypervisor::Journey;

// reg rax, const8, equal, end.
std::string when_rax_is(unsigned value) { return fmt::format(";X7,26000022{:02x}1327", value); }
// printf("hit\n").
const std::string kPrints = ";cmds:0,Xe,22002200340000056869740a0027";

TEST(TimeTravel, IsAnnouncedWhereThereIsAPast) {
  TravelBench machine;
  machine.server.start();
  machine.client.connect();
  EXPECT_NE(machine.ask("qSupported:swbreak+").find(";ReverseStep+;ReverseContinue+"),
            std::string::npos);

  ToyGuest guest(1);
  Server without(guest.vm, {});
  Client client(without);
  without.start();
  client.connect();
  EXPECT_EQ(client.ask("qSupported:swbreak+").find("Reverse"), std::string::npos);
  EXPECT_EQ(client.ask("bs"), "");
  EXPECT_EQ(client.ask("bc"), "");
  EXPECT_NE(client.ask("qHostInfo").find(";watchpoint_exceptions_received:after;"),
            std::string::npos);
}

TEST(TimeTravel, IsPromisedByAGreeterThatKnows) {
  Greeter greeter({.time_travel = true});
  std::string frame;
  rsp::append_frame(frame, "qSupported:swbreak+", rsp::RunLengthOutput::Off);
  greeter.on_bytes(std::as_bytes(std::span(frame)));
  EXPECT_NE(greeter.output().find(";ReverseStep+;ReverseContinue+"), std::string_view::npos);
}

TEST(TimeTravel, AStepBackIsOneInstruction) {
  TravelBench machine;
  machine.stop_after(10);
  ASSERT_EQ(machine.rip(), kStore);
  for (const std::uint64_t pc : {kNop, kLoop, kJump, kStore, kNop}) {
    EXPECT_EQ(machine.go("bs"), "T05thread:01;");
    EXPECT_EQ(machine.rip(), pc);
    EXPECT_EQ(machine.ask("?"), "T05thread:01;");
    EXPECT_TRUE(machine.travel.is_right());
  }
  EXPECT_EQ(machine.travel.position(), 5u);
  EXPECT_EQ(machine.travel.present(), 10u);
}

TEST(TimeTravel, BothWaysEndAtBreakpoints) {
  TravelBench machine;
  machine.stop_after(10);
  EXPECT_EQ(machine.ask("Z0,1000,1"), "OK");
  const std::string hit = "T05thread:01;swbreak:;";
  EXPECT_EQ(machine.go("bc"), hit);
  EXPECT_EQ(machine.travel.position(), 8u);
  // Where it stands does not count: LLDB takes nothing out before it sends this.
  EXPECT_EQ(machine.go("bc"), hit);
  EXPECT_EQ(machine.travel.position(), 4u);
  EXPECT_EQ(machine.ask("?"), hit);
  EXPECT_EQ(machine.go("c"), hit);
  EXPECT_EQ(machine.travel.position(), 8u);
  EXPECT_EQ(machine.go("bc"), hit);
  EXPECT_EQ(machine.go("bc"), hit);
  EXPECT_EQ(machine.travel.position(), 0u);
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.ask("?"), kBegin);
  // From here it has not been told of the breakpoint.
  EXPECT_EQ(machine.go("c"), hit);
  EXPECT_EQ(machine.travel.position(), 0u);
  EXPECT_EQ(machine.go("vCont;s:1"), "T05thread:01;");
  EXPECT_EQ(machine.travel.position(), 1u);
  EXPECT_EQ(machine.ask("z0,1000,1"), "OK");
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.ask("Z1,1003,1"), "OK");
  EXPECT_EQ(machine.go("c"), "T05thread:01;hwbreak:;");
  EXPECT_EQ(machine.travel.position(), 3u);
}

TEST(TimeTravel, WatchpointsStopBeforeTheStoreBackwardsAndAfterItForwards) {
  TravelBench machine;
  machine.stop_after(12);
  EXPECT_EQ(machine.ask("Z2,3001,1"), "OK");
  EXPECT_EQ(machine.go("bc"), "T05thread:01;watch:3001;");
  EXPECT_EQ(machine.rip(), kStore);
  EXPECT_EQ(machine.ask("m3000,3"), "010000");
  EXPECT_EQ(machine.go("c"), "T05thread:01;watch:3001;");
  EXPECT_EQ(machine.rip(), kJump);
  EXPECT_EQ(machine.ask("m3000,3"), "010200");
  EXPECT_EQ(machine.go("bc"), "T05thread:01;watch:3001;");
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.ask("m3000,3"), "000000");
}

TEST(TimeTravel, ConditionsDecide) {
  TravelBench machine;
  machine.stop_after(40);
  EXPECT_EQ(machine.ask("Z0,1002,1" + when_rax_is(3)), "OK");
  EXPECT_EQ(machine.go("bc"), "T05thread:01;swbreak:;");
  EXPECT_EQ(machine.guest.rax(0), 3u);
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.go("c"), "T05thread:01;swbreak:;");
  EXPECT_EQ(machine.guest.rax(0), 3u);
}

// An engine that does not ask at hits has the server decide where it has come to.
TEST(TimeTravel, ConditionsDecideWhereTheEngineDoesNotAsk) {
  TravelBench machine;
  machine.guest.vm.offer.filtered_stops = nullptr;
  machine.stop_after(40);
  EXPECT_EQ(machine.ask("Z0,1002,1" + when_rax_is(3)), "OK");
  EXPECT_EQ(machine.go("bc"), "T05thread:01;swbreak:;");
  EXPECT_EQ(machine.guest.rax(0), 3u);
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.go("c"), "T05thread:01;swbreak:;");
  EXPECT_EQ(machine.guest.rax(0), 3u);
  EXPECT_EQ(machine.travel.position(), 10u);
}

TEST(TimeTravel, CommandsPrintForwardsAndNeverStop) {
  TravelBench machine;
  machine.stop_after(12);
  EXPECT_EQ(machine.ask("Z0,1000,1" + kPrints), "OK");
  const auto hits = [&] {
    const std::string all =
        text_of("O" + machine.ask("qRcmd," + to_hex(std::string_view("breakpoints"))));
    const std::size_t at = all.find(" hits");
    return all.substr(all.rfind(' ', at - 1) + 1, at - all.rfind(' ', at - 1) - 1);
  };
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(hits(), "0");
  EXPECT_EQ(machine.ask("Z0,1003,1" + when_rax_is(3)), "OK");
  const std::string first = machine.go("c");
  EXPECT_EQ(text_of(first).substr(0, 4), "hit\n");
  std::string printed = text_of(first), last;
  for (last = machine.client.receive(); last[0] == 'O'; last = machine.client.receive())
    printed += text_of(last);
  EXPECT_EQ(printed, "hit\nhit\nhit\n");
  EXPECT_EQ(last, "T05thread:01;swbreak:;");
  EXPECT_EQ(hits(), "3");
}

// A condition of 96,000 steps at each of 50 hits: the main loop has its turn after a million.
TEST(TimeTravel, ConditionsThatTakeLongEndASlice) {
  TravelBench machine;
  machine.stop_after(200);
  machine.travel.slice = 1000;
  EXPECT_EQ(machine.ask("Z0,1000,1;Xb,235dc02201032820000327"), "OK");
  machine.client.send("bc");
  EXPECT_TRUE(machine.travel.is_travelling());
  EXPECT_GT(machine.travel.position(), 100u);
  machine.settle();
  EXPECT_EQ(machine.client.receive(), kBegin);
  machine.client.send("c");
  EXPECT_TRUE(machine.travel.is_travelling());
  EXPECT_LT(machine.travel.position(), 100u);
}

TEST(TimeTravel, ARecordedRunHasAnEnd) {
  TravelBench machine;
  machine.stop_after(10);
  machine.travel.recorded = true;
  EXPECT_EQ(machine.go("bs"), "T05thread:01;");
  EXPECT_EQ(machine.go("c"), "T05thread:01;" + kEnds);
  EXPECT_EQ(machine.ask("?"), "T05thread:01;" + kEnds);
  EXPECT_EQ(machine.travel.position(), 10u);
}

// Nothing of it is visible: a resume in the past ends where the guest is, later.
TEST(TimeTravel, ForwardsThePastLeadsIntoThePresent) {
  TravelBench machine;
  machine.stop_after(10);
  EXPECT_EQ(machine.ask("Z0,1002,1" + when_rax_is(5)), "OK");
  EXPECT_EQ(machine.go("bc"), kBegin);
  EXPECT_EQ(machine.go("c"), "T05thread:01;swbreak:;");
  EXPECT_EQ(machine.travel.present(), 18u);
  EXPECT_FALSE(machine.travel.in_past());
  EXPECT_EQ(machine.guest.rax(0), 5u);
  // And on, from the breakpoint.
  machine.client.send("c");
  machine.settle(5);
  EXPECT_EQ(machine.client.receive(), "(nothing)");
  machine.client.interrupt();
  EXPECT_EQ(machine.client.receive(), "T02thread:01;");
  EXPECT_EQ(machine.travel.present(), 23u);
  EXPECT_TRUE(machine.travel.is_right());
}

TEST(TimeTravel, StepsInThePastFollowItAndAtItsEndAreLive) {
  TravelBench machine;
  machine.stop_after(10);
  machine.go("bs");
  machine.go("bs");
  for (unsigned at = 9; at < 13; ++at) {
    EXPECT_EQ(machine.go(at % 2 == 0 ? "s" : "vCont;s:1;c"), "T05thread:01;");
    EXPECT_EQ(machine.travel.position(), at);
    EXPECT_TRUE(machine.travel.is_right());
  }
  EXPECT_EQ(machine.travel.present(), 12u);
  // Within a range, from the past into the present.
  machine.go("bs");
  machine.go("bs");
  ASSERT_EQ(machine.rip(), kStore);
  EXPECT_EQ(machine.go("vCont;r1002,1003:1"), "T05thread:01;");
  EXPECT_EQ(machine.rip(), kJump);
  EXPECT_EQ(machine.ask("Z0,1002,1" + when_rax_is(6)), "OK");
  EXPECT_EQ(machine.go("vCont;r1000,1005:1"), "T05thread:01;swbreak:;");
  EXPECT_EQ(machine.guest.rax(0), 6u);
  EXPECT_FALSE(machine.travel.in_past());
}

// Where RIP is no linear address, ranges are stepped through one by one.
TEST(TimeTravel, RangesInASegment) {
  TravelBench machine;
  machine.guest.vm.vcpu({0}).cpu.seg(x86::SegmentName::Cs).base = 0;
  machine.stop_after(10);
  machine.go("bc");
  machine.guest.vm.vcpu({0}).cpu.seg(x86::SegmentName::Cs).base = 0x10;
  machine.travel.journeys.clear();
  machine.client.send("vCont;r1000,1003:1");
  EXPECT_EQ(machine.travel.journeys.front().until, Journey::Until::Step);
}

TEST(TimeTravel, WordsComeBeforeTheReport) {
  TravelBench machine;
  machine.stop_after(10);
  machine.travel.words = "two on the way\n";
  EXPECT_EQ(text_of(machine.go("bs")), "two on the way\n");
  EXPECT_EQ(machine.client.receive(), "T05thread:01;");
}

TEST(TimeTravel, PhysicalWatchpointsSayWhatIsAboutToHappen) {
  TravelBench machine;
  machine.stop_after(10);
  EXPECT_EQ(machine.ask("qRcmd," + to_hex(std::string_view("watch-phys 0x3001 1"))).substr(0, 2),
            "57");
  EXPECT_EQ(text_of(machine.go("bc")),
            "vCPU 0 is about to write to the watched physical memory at 0x3001\n");
  EXPECT_EQ(machine.client.receive(), "T05thread:01;");
  EXPECT_EQ(machine.rip(), kStore);
  EXPECT_EQ(text_of(machine.go("c")), "vCPU 0 wrote to the watched physical memory at 0x3001\n");
}

}  // namespace
}  // namespace ringside::debug
