// vCont: actions per thread, range stepping.
#include "base/hex.h"
#include "debug/server/server.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using testing::Bench;
namespace opcode = testing::opcode;

class VCont : public ::testing::Test {
 protected:
  VCont() {
    bench.attach();
    EXPECT_EQ(bench.ask("vCont?"), "vCont;c;C;s;S;t;r");
  }
  Bench bench{3};
};

TEST_F(VCont, StepsOneWhileTheOthersRun) {
  bench.client.send("vCont;s:2;c");
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1) && bench.in_guest(2));
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  EXPECT_EQ(bench.guest.rip(1), 0x1001u);
  EXPECT_EQ(bench.guest.rip(0), 0x1001u);
}

// Two things happen at once, and the client hears of one. What the other was asked to do is history
// with the next resume; what befell it is not.
TEST_F(VCont, AStepThatIsNotAskedForAnyMoreIsNotReported) {
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.guest.vm.vcpu({1}).cpu.rip = bench.guest.vm.vcpu({2}).cpu.rip = 0x2000;
  bench.client.send("vCont;s:2;c");
  bench.run();
  ASSERT_EQ(bench.client.receive(), "T05thread:01;");
  ASSERT_EQ(bench.guest.rip(1), 0x2001u) << "the step is done";
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  bench.run(3);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1) && bench.in_guest(2));
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "T02thread:01;");
}

TEST_F(VCont, AStepThatIsAskedForAgainIsTakenAgain) {
  bench.client.send("vCont;s:1;s:2");
  for (std::uint64_t done = 1; done < 4; ++done) {
    bench.run();
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
    EXPECT_EQ(bench.client.receive(), "(nothing)");
    EXPECT_EQ(bench.guest.rip(0), 0x1000 + done);
    EXPECT_EQ(bench.guest.rip(1), 0x1000 + done);
    bench.client.send("vCont;s:1;s:2");
  }
}

TEST_F(VCont, ABreakpointBesideTheReportedOneIsReportedNext) {
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.guest.vm.vcpu({2}).cpu.rip = 0x2000;
  bench.client.send("vCont;s:3;c");
  bench.run();
  ASSERT_EQ(bench.client.receive(), "T05thread:01;");
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.client.receive(), "(nothing)");
}

TEST_F(VCont, HoldsThreadsWithoutAnAction) {
  bench.client.send("vCont;c:3");
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  EXPECT_TRUE(bench.in_guest(2));
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "T02thread:01;");
}

TEST_F(VCont, TheLeftmostActionCounts) {
  bench.client.send("vCont;S05:1;C00:1;t");
  bench.run(2);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1001u);
  EXPECT_EQ(bench.guest.rip(1), 0x1000u);
}

TEST_F(VCont, StepsARangeInTheServer) {
  bench.client.send("vCont;r1000,1008:1;c:2");
  bench.run(7);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1008u);
  // An empty range is a step.
  bench.client.send("vCont;r0,0:1");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1009u);
}

TEST_F(VCont, ARangeEndsAtABreakpointInIt) {
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  EXPECT_EQ(bench.ask("Z0,1004,1"), "OK");
  // Starting on one passes it, the others out of the guest meanwhile.
  bench.client.send("vCont;r1000,1010:1;c:2");
  EXPECT_FALSE(bench.in_guest(1));
  bench.guest.vm.vcpu({1}).cpu.rip = 0x2000;
  bench.run();
  EXPECT_TRUE(bench.in_guest(1));
  bench.run(6);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1004u);
}

TEST_F(VCont, ARangeCanBeInterrupted) {
  bench.guest.write(0x1000, {opcode::kJump, 0xfe});
  bench.client.send("vCont;r1000,1010:1");
  bench.run(5);
  EXPECT_EQ(bench.ask("m1000,1"), "eb");  // unseen by the range
  bench.run(5);
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "T02thread:01;");
}

TEST_F(VCont, VCtrlC) {
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.ask("vCtrlC"), "OK");
  EXPECT_EQ(bench.client.receive(), "T02thread:01;");
  EXPECT_EQ(bench.ask("vCtrlC"), "OK");
  EXPECT_EQ(bench.client.receive(), "(nothing)");
}

TEST_F(VCont, WhoWantsEverybodyStoppedHasThat) {
  EXPECT_EQ(bench.ask("vCont;t"), "T00thread:01;");
  EXPECT_EQ(bench.ask("vCont;t:2"), "T00thread:01;");
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.ask("vCont;t"), "E16");
}

TEST_F(VCont, WhatWouldNeverStopIsRefused) {
  EXPECT_EQ(bench.ask("vCont;c:9"), "E16");
  EXPECT_EQ(bench.ask("vCont;c:p7.1"), "E16");
  EXPECT_EQ(bench.ask("vCont"), "E16");
  EXPECT_EQ(bench.ask("vCont;q"), "E16");
  EXPECT_EQ(bench.ask("vCont;c:fffffffffffffffff"), "E16");
  EXPECT_EQ(bench.ask("?").substr(0, 3), "T05");
}

TEST_F(VCont, ProcessesAreUnderstood) {
  bench.ask("qSupported:multiprocess+");
  bench.client.send("vCont;s:p1.2;t:p1.-1");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:p01.02;");
}

TEST_F(VCont, ADeathIsAStopInWordsForThoseWhoCanReadIt) {
  bench.client.send("vCont;c");
  EXPECT_TRUE(bench.guest.vm.stops_instead_of_death());
  bench.guest.vm.happen({1}, hypervisor::exit::Dead{"triple fault"});
  bench.server.drain_events();
  const std::string said = bench.client.receive();
  EXPECT_EQ(said, "O" + to_hex("vCPU 1 cannot go on: triple fault\n"));
  EXPECT_EQ(bench.client.receive(), "T06thread:02;");
  EXPECT_EQ(bench.ask("g").size(), 328u);
  EXPECT_EQ(bench.ask("m1000,4").size(), 8u);
  EXPECT_EQ(bench.ask("M1000,1:90"), "OK");
  // Going on is the end that it would have been.
  bench.client.send("vCont;c");
  EXPECT_FALSE(bench.guest.vm.stops_instead_of_death());
}

TEST_F(VCont, WithoutAClientADeathIsADeath) {
  bench.client.send("vCont;c");
  bench.client.disconnect();
  EXPECT_FALSE(bench.guest.vm.stops_instead_of_death());
}

TEST_F(VCont, VcpusThatStartTakeTheDefaultAction) {
  testing::ToyGuest guest(3);
  Server server(guest.vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  client.send("vCont;s:1;c");
  guest.vm.start({1});
  server.drain_events();
  EXPECT_TRUE(guest.vm.vcpu({1}).in_guest());
  guest.run();
  server.drain_events();
  EXPECT_EQ(client.receive(), "T05thread:01;");
  client.send("vCont;s:1");
  guest.vm.start({2});
  server.drain_events();
  EXPECT_FALSE(guest.vm.vcpu({2}).in_guest());
}

TEST_F(VCont, WhoHasReadTheDescriptionIsToldWhereTheVcpuIs) {
  bench.ask("qXfer:features:read:target.xml:0,fff");
  bench.guest.vm.vcpu({0}).cpu.reg(x86::Gpr::Rsp) = 0x7000;
  bench.client.send("vCont;s:1");
  bench.run();
  const std::string registers = "6:0000000000000000;7:0070000000000000;10:0110000000000000;";
  EXPECT_EQ(bench.client.receive(), "T05thread:01;" + registers);
  EXPECT_EQ(bench.ask("?"), "T05thread:01;" + registers);
}

}  // namespace
}  // namespace ringside::debug
