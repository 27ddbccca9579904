// Z and z, #BP exits, and what guest memory shows meanwhile.
#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
using testing::FakeStoppoints;
using testing::ToyGuest;
namespace opcode = testing::opcode;

class Breakpoints : public ::testing::Test {
 protected:
  Breakpoints() {
    bench.guest.write(0x1000, {opcode::kIncRax, opcode::kIncRax, opcode::kIncRax, opcode::kIncRax});
    bench.attach();
  }
  Bench bench{2};
  ToyGuest& guest = bench.guest;
};

// One vCPU at 0x1000, the other in an endless loop far away.
class BreakpointsOnOne : public Breakpoints {
 protected:
  BreakpointsOnOne() {
    guest.write(0x3000, {opcode::kJump, 0xfe});
    guest.vm.vcpu({1}).cpu.rip = 0x3000;
  }
};

TEST_F(BreakpointsOnOne, Row32_HitIsReportedOnceWithRipOnTheBreakpoint) {
  EXPECT_EQ(bench.ask("Z0,1002,1"), "OK");
  bench.client.send("c");
  bench.run(5);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_EQ(guest.rip(0), 0x1002u);
  EXPECT_EQ(guest.rax(0), 2u);
}

TEST_F(BreakpointsOnOne, Row33_InsertingAndRemovingTwiceIsTheSameAsOnce) {
  EXPECT_EQ(bench.ask("Z0,1002,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1002,1"), "OK");
  EXPECT_EQ(guest.byte(0x1002), opcode::kInt3);
  EXPECT_TRUE(guest.vm.vcpu({1}).has(Capability::BreakpointExit));
  EXPECT_EQ(bench.ask("z0,1002,1"), "OK");
  EXPECT_EQ(guest.byte(0x1002), opcode::kIncRax);
  EXPECT_EQ(bench.ask("z0,1002,1"), "OK");
  EXPECT_FALSE(guest.vm.vcpu({1}).has(Capability::BreakpointExit));
}

TEST_F(Breakpoints, Row34_KindIsOneAndThereIsMemory) {
  guest.vm.memory().add_device(Gpa{0xfee00000}, 0x1000);
  guest.vm.memory().add_ram(Gpa{0xf0000}, 0x1000, hypervisor::MemoryKind::Rom);
  EXPECT_EQ(bench.ask("Z0,1000,2"), "E16");
  EXPECT_EQ(bench.ask("Z0,1000"), "E16");
  EXPECT_EQ(bench.ask("Z0,fee00000,1"), "E0e");
  EXPECT_EQ(bench.ask("Z0,f0000,1"), "OK");  // ROM is the debugger's to write
  EXPECT_EQ(bench.ask("z0,f0000,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,900000,1"), "E0e");
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
}

TEST_F(Breakpoints, Row35_WhatTheEngineDoesNotOfferIsNotSupported) {
  for (const char* packet : {"Z1,1000,1", "Z2,1000,4", "Z3,1000,4", "Z4,1000,4", "z2,1000,4"})
    EXPECT_EQ(bench.ask(packet), "");
}

TEST_F(Breakpoints, BreakpointsNeedTheCapability) {
  guest.vm.vcpu({1}).supported[static_cast<int>(Capability::BreakpointExit)] = false;
  EXPECT_EQ(bench.ask("Z0,1002,1"), "E2d");
  EXPECT_EQ(guest.byte(0x1002), opcode::kIncRax);
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
}

// As on a KVM that does not intercept int3.
TEST(LinearBreakpoints, TakeThePlaceOfInt3ThatIsNotIntercepted) {
  class FewStoppoints : public FakeStoppoints {
    Result<void> insert_breakpoint(Gva address) override {
      if (linear.size() == 2) return fail(ErrorCode::Busy, "0 of 2 are left");
      return FakeStoppoints::insert_breakpoint(address);
    }
  };
  FewStoppoints engine;
  Bench bench;
  engine.give_to(bench.guest.vm);
  bench.guest.vm.vcpu({0}).supported[static_cast<int>(Capability::BreakpointExit)] = false;
  bench.attach();
  bench.ask("qSupported:swbreak+;error-message+");
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1002,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1003,1"), "E.0 of 2 are left");
  EXPECT_EQ(bench.ask("z0,1003,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,fee00000,1").substr(0, 1), "E");
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{0x1001, 0x1002}));
  bench.client.send("c");
  bench.guest.vm.happen({0}, hypervisor::exit::HardwareBreakpoint{Gva{0x1001}});
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;swbreak:;");
  EXPECT_EQ(bench.ask("z0,1001,1"), "OK");
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{0x1002}));
  bench.client.disconnect();
  EXPECT_EQ(engine.linear, (std::set<std::uint64_t>{}));
}

TEST_F(Breakpoints, Row36_DisconnectPutsEverythingBack) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1002,1"), "OK");
  bench.ask("c");
  bench.client.disconnect();
  EXPECT_EQ(guest.byte(0x1001), opcode::kIncRax);
  EXPECT_EQ(guest.byte(0x1002), opcode::kIncRax);
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
  bench.run(4);
  EXPECT_EQ(guest.rax(0), 4u);
}

TEST_F(Breakpoints, Row38_VcpuStartedLaterHasTheBreakpointsToo) {
  ToyGuest late(2);
  Server server(late.vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  EXPECT_EQ(client.ask("Z0,2000,1"), "OK");
  late.vm.start({1});
  late.vm.vcpu({1}).cpu.rip = 0x2000;
  client.send("c");
  EXPECT_TRUE(late.vm.vcpu({1}).has(Capability::BreakpointExit));
  late.run();
  server.drain_events();
  EXPECT_EQ(client.receive(), "T05thread:02;");
}

TEST_F(BreakpointsOnOne, Row39_TheGuestsOwnInt3IsTheGuests) {
  guest.write(0x1001, {opcode::kInt3});
  EXPECT_EQ(bench.ask("Z0,2000,1"), "OK");
  bench.ask("c");
  bench.run(2);
  EXPECT_EQ(guest.vm.vcpu({0}).injected->vector, x86::Vector::Breakpoint);
  bench.run();
  EXPECT_EQ(guest.frames, std::vector<std::uint64_t>{0x1002});
  EXPECT_EQ(guest.rip(0), ToyGuest::kHandler);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
}

TEST_F(BreakpointsOnOne, Row39_AndWithoutAnyBreakpointNobodyLooks) {
  guest.write(0x1000, {opcode::kInt3});
  bench.ask("c");
  bench.run();
  EXPECT_EQ(guest.frames, std::vector<std::uint64_t>{0x1001});
}

TEST_F(BreakpointsOnOne, Row40_PrefixedInt3KeepsItsLength) {
  guest.write(0x1000, {opcode::kRep, opcode::kInt3});
  EXPECT_EQ(bench.ask("Z0,2000,1"), "OK");
  bench.ask("c");
  bench.run(2);
  EXPECT_EQ(guest.frames, std::vector<std::uint64_t>{0x1002});
}

TEST_F(BreakpointsOnOne, Row42_SwbreakIsSentToThoseWhoAnnouncedIt) {
  for (const char* announcement :
       {"qSupported:swbreak+", "qSupported:multiprocess-;swbreak+;hwbreak+"}) {
    bench.ask(announcement);
    guest.vm.vcpu({0}).cpu.rip = 0x1000;
    EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
    bench.client.send("c");
    bench.run(3);
    EXPECT_EQ(bench.client.receive(), "T05thread:01;swbreak:;");
  }
  bench.ask("qSupported:swbreak-");
  EXPECT_EQ(bench.ask("?"), "T05thread:01;");
}

TEST(SimultaneousBreakpoints, Row49_EachIsReportedOnceOnePerContinue) {
  Bench bench(4);
  bench.guest.write(0x1000, {opcode::kNop, opcode::kIncRax, opcode::kJump, 0xfe});
  bench.attach();
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  bench.client.send("c");
  bench.guest.run(2);  // all four hit it before the server hears of the first
  bench.server.drain_events();
  std::string seen;
  for (int i = 0; i < 4; ++i) {
    seen += bench.client.receive() + " ";
    EXPECT_EQ(bench.client.receive(), "(nothing)");
    // As GDB does it: lift, step, insert, continue.
    EXPECT_EQ(bench.ask("z0,1001,1"), "OK");
    bench.client.send("s");
    bench.run();
    EXPECT_EQ(bench.client.receive().substr(0, 3), "T05");
    EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
    bench.client.send("c");
  }
  EXPECT_EQ(seen, "T05thread:01; T05thread:02; T05thread:03; T05thread:04; ");
  bench.run(3);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  for (unsigned i = 0; i < 4; ++i)
    EXPECT_EQ(bench.guest.rax(i), 1u);
}

TEST(SimultaneousBreakpoints, Row50_RemovedBeforeTheContinueIsDiscarded) {
  Bench bench(3);
  bench.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfe});
  bench.attach();
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("c");
  bench.guest.run();
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.ask("z0,1000,1"), "OK");
  bench.client.send("c");
  bench.run(4);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  for (unsigned i = 0; i < 3; ++i)
    EXPECT_EQ(bench.guest.rax(i), 1u);
}

TEST(SimultaneousBreakpoints, AVcpuMovedAwayByTheClientHasNothingToReport) {
  Bench bench(2);
  bench.guest.write(0x2000, {opcode::kJump, 0xfe});
  bench.attach();
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("c");
  bench.guest.run();
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.ask("P10=0020000000000000"), "OK");
  bench.ask("Hg02");
  EXPECT_EQ(bench.ask("P10=0020000000000000"), "OK");
  bench.client.send("c");
  bench.run(4);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
}

TEST_F(Breakpoints, Row56_CurrentFollowsTheReport) {
  guest.write(0x3000, {opcode::kJump, 0xfe});
  guest.vm.vcpu({0}).cpu.rip = 0x3000;
  guest.rax(1) = 0x77;
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("c");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  EXPECT_EQ(bench.ask("g").substr(0, 2), "77");
}

TEST(BreakpointRaces, Row51_EventAgainstInterruptGivesOneReply) {
  for (const bool event_first : {true, false}) {
    Bench bench;
    bench.attach();
    EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
    bench.client.send("c");
    if (event_first) bench.guest.run();
    bench.client.interrupt();
    bench.run();
    const std::string reply = bench.client.receive();
    EXPECT_EQ(reply, event_first ? "T05thread:01;" : "S05");
    EXPECT_EQ(bench.client.receive(), "(nothing)");
  }
}

TEST_F(BreakpointsOnOne, ContinueFromAReportedBreakpointExecutesWhatIsUnderIt) {
  guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfd});
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  for (unsigned i = 0; i < 3; ++i) {
    bench.client.send("c");
    bench.run(6);
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
    EXPECT_EQ(guest.rip(0), 0x1000u);
    EXPECT_EQ(guest.rax(0), i);
    EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
  }
}

TEST_F(BreakpointsOnOne, ABreakpointThatAStepArrivedAtIsReportedByContinue) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rip(0), 0x1001u);
  bench.client.send("c");
  bench.run(2);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rip(0), 0x1001u);
}

TEST_F(BreakpointsOnOne, WhoIsMovedOntoABreakpointHearsOfIt) {
  guest.write(0x1002, {opcode::kJump, 0xfe});
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  bench.client.send("c");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.ask("P10=0110000000000000"), "OK");
  bench.client.send("c");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rip(0), 0x1001u);
  EXPECT_EQ(guest.rax(0), 0u);
}

TEST(BreakpointRaces, Defect05_DisconnectWhileAVcpuIsOnItsWayOutWithABreakpoint) {
  Bench bench;
  bench.guest.write(0x1000, {opcode::kIncRax});
  bench.attach();
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("c");
  bench.guest.run();  // the event is queued, the server has not seen it
  bench.client.disconnect();
  bench.run(2);
  EXPECT_FALSE(bench.guest.vm.vcpu({0}).injected.has_value());
  EXPECT_TRUE(bench.guest.frames.empty());
  EXPECT_EQ(bench.guest.rax(0), 1u);
}

TEST_F(BreakpointsOnOne, Defect06_StepOverAnInsertedBreakpointExecutesItsInstructionOnce) {
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  for (unsigned i = 1; i <= 3; ++i) {
    bench.client.send("s");
    bench.run(2);
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
    EXPECT_EQ(guest.rip(0), 0x1000 + i);
    EXPECT_EQ(guest.rax(0), i);
  }
  EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
  EXPECT_EQ(guest.byte(0x1001), opcode::kInt3);
}

TEST_F(BreakpointsOnOne, StepOverABreakpointOnTheGuestsOwnInt3GivesItToTheGuest) {
  guest.write(0x1000, {opcode::kInt3});
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("s");
  bench.run(3);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.frames, std::vector<std::uint64_t>{0x1001});
  EXPECT_EQ(guest.rip(0), ToyGuest::kHandler);
  EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
}

TEST_F(BreakpointsOnOne, Defect07_StepOfTheGuestsInt3WhileOneIsQueuedIsNoDisaster) {
  guest.write(0x1000, {opcode::kInt3});
  EXPECT_EQ(bench.ask("Z0,2000,1"), "OK");
  guest.vm.vcpu({0}).injected = x86::Exception{x86::Vector::Breakpoint, std::nullopt, 0};
  bench.client.send("s");
  guest.vm.happen({0}, hypervisor::exit::Breakpoint{1});
  bench.server.drain_events();
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.frames.size(), 1u);
}

TEST_F(BreakpointsOnOne, Defect12_TheClientNeverSeesOurBytesAndKeepsItsWrites) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("m1000,4"), "40404040");
  EXPECT_EQ(bench.ask("M1000,3:909190"), "OK");
  EXPECT_EQ(bench.ask("m1000,4"), "90919040");
  EXPECT_EQ(guest.byte(0x1001), opcode::kInt3);
  EXPECT_EQ(bench.ask("z0,1001,1"), "OK");
  EXPECT_EQ(guest.byte(0x1001), 0x91);
}

TEST_F(BreakpointsOnOne, CodeThatTheGuestOverwroteStaysTheGuests) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  guest.write(0x1001, {0x55});
  EXPECT_EQ(bench.ask("m1001,1"), "55");
  EXPECT_EQ(bench.ask("z0,1001,1"), "OK");
  EXPECT_EQ(guest.byte(0x1001), 0x55);
}

TEST(SimultaneousBreakpoints, Defect14_StepOfAVcpuWithAnUnreportedBreakpointReportsIt) {
  Bench bench(2);
  bench.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfe});
  bench.attach();
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("c");
  bench.guest.run();
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  bench.ask("Hg02");
  bench.client.send("s");
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  EXPECT_EQ(bench.guest.rax(1), 0u);
  // Both have been told; nothing traps later.
  EXPECT_EQ(bench.ask("z0,1000,1"), "OK");
  bench.client.send("c");
  bench.run(4);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_EQ(bench.guest.rax(1), 1u);
}

TEST(HardwareBreakpoints, Row65_OfferedByTheEngineTheyAreServed) {
  FakeStoppoints engine;
  Bench bench;
  engine.give_to(bench.guest.vm);
  bench.attach();
  EXPECT_NE(bench.ask("qSupported:hwbreak+").find(";hwbreak+;"), std::string::npos);
  EXPECT_EQ(bench.ask("Z1,64,1"), "OK");
  EXPECT_EQ(bench.ask("Z2,c8,8"), "OK");
  EXPECT_EQ(bench.ask("Z2,c8,8"), "OK");
  EXPECT_EQ(bench.ask("Z3,12c,0"), "E16");
  bench.client.send("c");
  bench.guest.vm.happen({0}, hypervisor::exit::HardwareBreakpoint{Gva{100}});
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;hwbreak:;");
  bench.client.send("c");
  bench.guest.vm.happen({0}, hypervisor::exit::Watchpoint{Gva{200}, hypervisor::WatchKind::Write});
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;watch:c8;");
  EXPECT_EQ(bench.ask("z1,64,1"), "OK");
  // On its way when its breakpoint was removed.
  bench.client.send("c");
  bench.guest.vm.happen({0}, hypervisor::exit::HardwareBreakpoint{Gva{100}});
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_TRUE(bench.in_guest(0));
  bench.client.disconnect();
  EXPECT_EQ(engine.calls, (std::vector<std::string>{"+b100/0", "+w200/8", "-b100/0", "-w200/8"}));
}

}  // namespace
}  // namespace ringside::debug
