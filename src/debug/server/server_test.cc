// Attaching, resuming, stopping and leaving. Row<n> names a row of docs/model.md, Defect<n> one of
// the model's known defects that must not come back.
#include "debug/server/server.h"

#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
using testing::LazyVm;
using testing::ToyGuest;
namespace opcode = testing::opcode;

const ServerOptions kWait{true, OnKill::Detach};

TEST(Server, Row03_WaitsAtFirstInstructionUntilAnExplicitContinue) {
  Bench bench(1, kWait);
  bench.server.start();
  bench.run(10);
  EXPECT_EQ(bench.guest.vm.vcpu({0}).resumes, 0u);
  bench.client.connect();
  bench.run(10);
  EXPECT_EQ(bench.guest.vm.vcpu({0}).resumes, 0u);
  EXPECT_EQ(bench.ask("?"), "S05");
  EXPECT_EQ(bench.guest.rip(0), 0x1000u);
  EXPECT_EQ(bench.ask("c"), "(nothing)");
  bench.run(3);
  EXPECT_EQ(bench.guest.rip(0), 0x1003u);
}

TEST(Server, Row03_WaitingEndsWhenTheDebuggerLeaves) {
  Bench bench(1, kWait);
  bench.attach();
  bench.client.disconnect();
  EXPECT_TRUE(bench.in_guest(0));
}

TEST(Server, Row04_RunsAtOnceWithoutWait) {
  Bench bench;
  bench.server.start();
  bench.run(5);
  EXPECT_EQ(bench.guest.rip(0), 0x1005u);
}

TEST(Server, Row06_AttachAndLeaveAHundredTimes) {
  Bench bench(2);
  bench.server.start();
  for (int i = 0; i < 100; ++i) {
    bench.client.connect();
    EXPECT_EQ(bench.ask("?"), "S05");
    EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
    bench.client.disconnect();
    EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
    bench.run();
  }
}

TEST(Server, Row07_AttachStopsAndIsNotAnnounced) {
  Bench bench(2);
  bench.attach();
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  EXPECT_EQ(bench.client.take_raw(), "");
  EXPECT_EQ(bench.ask("?"), "S05");
}

TEST(Server, Row08_DetachResumesAndTheSessionEnds) {
  Bench bench;
  bench.attach();
  bench.client.send("D");
  EXPECT_FALSE(bench.server.wants_close());  // the OK is not written yet
  EXPECT_EQ(bench.client.take_raw(), "+$OK#9a");
  EXPECT_TRUE(bench.server.wants_close());
  EXPECT_TRUE(bench.in_guest(0));
  EXPECT_EQ(bench.ask("g"), "(nothing)");
  EXPECT_TRUE(bench.in_guest(0));
}

TEST(Server, Row10_KillDetachesUnlessAskedOtherwise) {
  Bench bench;
  bench.attach();
  EXPECT_EQ(bench.ask("k"), "");
  EXPECT_TRUE(bench.in_guest(0));
  EXPECT_FALSE(bench.server.wants_vm_end());
  EXPECT_TRUE(bench.server.wants_close());

  Bench stops(1, {false, OnKill::Stop});
  stops.attach();
  EXPECT_EQ(stops.ask("vKill;1"), "OK");
  EXPECT_TRUE(stops.server.wants_vm_end());
}

TEST(Server, Row11_InterruptStopsEverythingAndSaysSoOnce) {
  Bench bench(3);
  bench.attach();
  bench.ask("c");
  bench.client.interrupt();
  EXPECT_EQ(bench.client.take_raw(), "$S05#b8");
  for (unsigned i = 0; i < 3; ++i)
    EXPECT_FALSE(bench.in_guest(i));
  bench.run(3);
  EXPECT_EQ(bench.client.take_raw(), "");
}

TEST(Server, InterruptNamesAThreadToClientsThatSpeakOfThreads) {
  Bench bench(2);
  bench.attach();
  bench.ask("qSupported:multiprocess+");
  bench.ask("Hgp1.2");
  bench.ask("c");
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "T02thread:p01.02;");
  EXPECT_EQ(bench.ask("?"), "T02thread:p01.02;");
}

TEST(Server, Row12_InterruptWhileStoppedGivesNothing) {
  Bench bench;
  bench.attach();
  bench.client.interrupt();
  EXPECT_EQ(bench.client.take_raw(), "");
  EXPECT_EQ(bench.ask("qC"), "QC01");
  bench.ask("c");
  EXPECT_EQ(bench.client.take_raw(), "");
}

TEST(Server, Row41_StopReplyNamesTheThread) {
  Bench bench(2);
  bench.guest.write(0x2000, {opcode::kNop});
  bench.attach();
  bench.guest.vm.vcpu({1}).cpu.rip = 0x2000;
  EXPECT_EQ(bench.ask("Hg02"), "OK");
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.take_raw(), "+$T05thread:02;#08");
  EXPECT_EQ(bench.guest.rip(1), 0x2001u);
}

TEST(Server, Row44_StepIsExactlyOneInstruction) {
  Bench bench;
  bench.attach();
  for (unsigned i = 1; i <= 5; ++i) {
    bench.client.send("s");
    bench.run(3);
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
    EXPECT_EQ(bench.guest.rip(0), 0x1000 + i);
  }
  bench.ask("c");
  bench.run(3);
  EXPECT_EQ(bench.guest.rip(0), 0x1008u);
  EXPECT_FALSE(bench.guest.vm.vcpu({0}).has(Capability::MonitorTrap));
}

TEST(Server, Row44_StepWhereTheHostCannotIsRefused) {
  Bench bench;
  bench.guest.vm.vcpu({0}).supported[static_cast<int>(Capability::MonitorTrap)] = false;
  bench.attach();
  EXPECT_EQ(bench.ask("s"), "E2d");
  EXPECT_EQ(bench.ask("?"), "S05");
}

TEST(Server, Row45_OnlyTheCurrentVcpuSteps) {
  Bench bench(3);
  bench.attach();
  bench.client.send("s");
  bench.run(4);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(1), 0x1000u);
  EXPECT_EQ(bench.guest.rip(2), 0x1000u);
}

TEST(Server, Row46_StepIsNotTakenIntoAnInterruptHandler) {
  Bench bench;
  bench.attach();
  bench.guest.interrupt_pending[0] = true;
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1001u);
  bench.ask("c");
  EXPECT_FALSE(bench.guest.vm.vcpu({0}).has(Capability::MaskInterrupts));
  bench.run();
  EXPECT_EQ(bench.guest.rip(0), ToyGuest::kHandler + 1);
}

TEST(Server, Row48_StepOfAHaltedVcpuWaitsForItsInterrupt) {
  Bench bench;
  bench.guest.write(0x1000, {opcode::kHlt});
  bench.attach();
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1001u);
  bench.client.send("s");
  bench.run(5);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  bench.guest.interrupt_pending[0] = true;
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
}

TEST(Server, Row52_AllAreOutBeforeTheReport) {
  Bench bench(4);
  bench.attach();
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  bench.ask("c");
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "S05");
  const std::uint64_t before = bench.guest.rip(3);
  bench.run(5);
  EXPECT_EQ(bench.guest.rip(3), before);
}

TEST(Server, Row53_VcpuStartedWhileStoppedStaysOutWithoutReport) {
  Bench bench;
  ToyGuest guest(2);
  Server server(guest.vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  EXPECT_EQ(client.ask("qfThreadInfo"), "m01");
  guest.vm.start({1});
  server.drain_events();
  EXPECT_FALSE(guest.vm.vcpu({1}).in_guest());
  EXPECT_EQ(client.take_raw(), "");
  EXPECT_EQ(client.ask("qfThreadInfo"), "m01,02");
  client.ask("c");
  EXPECT_TRUE(guest.vm.vcpu({1}).in_guest());
}

TEST(Server, Row54_VcpusThatNeverStartedAreNotResumed) {
  ToyGuest guest(2);
  Server server(guest.vm, kWait);
  testing::Client client(server);
  server.start();
  client.connect();
  client.ask("c");
  EXPECT_TRUE(guest.vm.vcpu({0}).in_guest());
  EXPECT_FALSE(guest.vm.vcpu({1}).in_guest());
  guest.vm.start({1});
  server.drain_events();
  EXPECT_TRUE(guest.vm.vcpu({1}).in_guest());
}

TEST(Server, VcpuStartedWithoutAClientRuns) {
  ToyGuest guest(2);
  Server server(guest.vm, {});
  server.start();
  guest.vm.start({1});
  server.drain_events();
  EXPECT_TRUE(guest.vm.vcpu({1}).in_guest());
}

TEST(Server, VcpuStartedDuringAStepOfAnotherIsHeld) {
  ToyGuest guest(2);
  Server server(guest.vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  client.send("s");
  guest.vm.start({1});
  server.drain_events();
  EXPECT_FALSE(guest.vm.vcpu({1}).in_guest());
}

TEST(Server, Row55_HaltedVcpuIsKickedOutAndStaysHalted) {
  Bench bench(2);
  bench.attach();
  bench.ask("c");
  bench.guest.vm.set_halted({0}, true);
  bench.guest.vm.set_halted({1}, true);
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "S05");
  bench.ask("c");
  EXPECT_TRUE(bench.guest.vm.vcpu({0}).halted());
}

TEST(Server, Row57_QuestionMarkIsRepeatable) {
  Bench bench(2);
  bench.attach();
  bench.ask("Hg02");
  bench.client.send("s");
  bench.run();
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  bench.ask("Hg01");
  EXPECT_EQ(bench.ask("?"), "T05thread:02;");
  EXPECT_EQ(bench.ask("?"), "T05thread:02;");
  EXPECT_EQ(bench.ask("qC"), "QC01");
}

TEST(Server, Row58_NackRepeatsTheReply) {
  Bench bench;
  bench.attach();
  bench.client.send_raw("$qC#00");
  EXPECT_EQ(bench.client.take_raw(), "-");
  bench.client.send_raw("$qC#b4");
  EXPECT_EQ(bench.client.take_raw(), "+$QC01#f5");
  bench.client.send_raw("-");
  EXPECT_EQ(bench.client.take_raw(), "$QC01#f5");
}

TEST(Server, Row60_AThousandPacketsWithoutAcknowledgement) {
  Bench bench;
  bench.attach();
  std::string stream;
  for (int i = 0; i < 1000; ++i)
    stream += "$qC#b4";
  bench.client.send_raw(stream);
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(bench.client.receive(), "QC01");
}

TEST(Server, Row62_ResumingElsewhereIsRefused) {
  Bench bench;
  bench.attach();
  EXPECT_EQ(bench.ask("c1000"), "E16");
  EXPECT_EQ(bench.ask("s1000"), "E16");
  EXPECT_FALSE(bench.in_guest(0));
}

TEST(Server, Row69_AMachineThatEndsClosesTheConnection) {
  Bench bench;
  bench.attach();
  bench.ask("c");
  EXPECT_FALSE(bench.server.wants_close());
  bench.guest.vm.end({});
  EXPECT_FALSE(bench.server.wants_close());  // the client waits for a word of it
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "W01");
  EXPECT_TRUE(bench.server.wants_close());
}

TEST(Server, Row69_APlainClientSeesTheMachineEnd) {
  Bench bench;
  bench.attach();
  bench.ask("c");
  EXPECT_FALSE(bench.guest.vm.stops_instead_of_death());
}

TEST(Server, Defect02_FirstStepOfAWaitingGuestIsAStep) {
  Bench bench(1, kWait);
  bench.attach();
  bench.client.send("s");
  bench.run(5);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.guest.rip(0), 0x1001u);
}

TEST(Server, Defect03_ContinueBeforeTheAttachStopCompletes) {
  LazyVm vm(1);
  vm.lazy = true;
  Server server(vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  client.send("c");
  EXPECT_TRUE(vm.vcpu({0}).in_guest());
  vm.park_all();
  server.drain_events();
  EXPECT_TRUE(vm.vcpu({0}).in_guest());
  client.interrupt();
  EXPECT_EQ(client.receive(), "(nothing)");
  vm.park_all();
  server.drain_events();
  EXPECT_EQ(client.receive(), "S05");
}

TEST(Server, RequestsWaitForTheAttachStop) {
  LazyVm vm(1);
  vm.lazy = true;
  vm.memory().add_ram(Gpa{0}, 0x1000);
  Server server(vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  client.send("?");
  client.send("p10");
  client.send("qC");
  EXPECT_EQ(client.receive(), "(nothing)");
  vm.vcpu({0}).cpu.rip = 0x1234;
  vm.park_all();
  server.drain_events();
  EXPECT_EQ(client.receive(), "S05");
  EXPECT_EQ(client.receive(), "3412000000000000");
  EXPECT_EQ(client.receive(), "QC01");
}

TEST(Server, NextClientMayComeBeforeTheLastOnesTracesAreUndone) {
  LazyVm vm(2);
  vm.lazy = true;
  vm.make_active({1});
  vm.memory().add_ram(Gpa{0}, 0x1000);
  Server server(vm, {});
  testing::Client client(server);
  server.start();
  client.connect();
  vm.park_all();
  server.drain_events();
  EXPECT_EQ(client.ask("s"), "(nothing)");
  EXPECT_TRUE(vm.vcpu({0}).has(Capability::MonitorTrap));
  client.disconnect();
  client.connect();
  client.send("?");
  EXPECT_EQ(client.receive(), "(nothing)");
  vm.park_all();
  server.drain_events();
  EXPECT_EQ(client.receive(), "S05");
  EXPECT_FALSE(vm.vcpu({0}).has(Capability::MonitorTrap));
  EXPECT_FALSE(vm.vcpu({0}).in_guest() || vm.vcpu({1}).in_guest());
}

TEST(Server, Defect04_DisconnectInMidStepLeavesNoTrapAndNoMask) {
  Bench bench;
  bench.attach();
  bench.client.send("s");
  EXPECT_TRUE(bench.guest.vm.vcpu({0}).has(Capability::MonitorTrap));
  EXPECT_TRUE(bench.guest.vm.vcpu({0}).has(Capability::MaskInterrupts));
  bench.client.disconnect();
  EXPECT_FALSE(bench.guest.vm.vcpu({0}).has(Capability::MonitorTrap));
  EXPECT_FALSE(bench.guest.vm.vcpu({0}).has(Capability::MaskInterrupts));
  bench.run(5);
  EXPECT_EQ(bench.guest.rip(0), 0x1005u);
}

TEST(Server, Defect08_QueriesWhileRunningAreAnsweredAndEatNoReport) {
  Bench bench(2);
  bench.guest.write(0x1003, {opcode::kJump, 0xfe});
  bench.attach();
  bench.ask("c");
  bench.run(2);
  EXPECT_EQ(bench.ask("m1003,2"), "ebfe");
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
  EXPECT_EQ(bench.ask("?"), "S05");
  EXPECT_EQ(bench.ask("qfThreadInfo"), "m01,02");
  EXPECT_EQ(bench.ask("p10"), "0210000000000000");
  EXPECT_EQ(bench.ask("c"), "E16");
  EXPECT_EQ(bench.ask("Z0,1003,1"), "OK");
  bench.run(2);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.client.receive(), "(nothing)");
}

TEST(Server, Defect08_AStopDuringTheQuerysPauseIsReportedAfterTheAnswer) {
  LazyVm vm(1);
  vm.lazy = true;
  vm.memory().add_ram(Gpa{0}, 0x2000);
  vm.vcpu({0}).cpu.cr0 = x86::cr0::PE;
  vm.vcpu({0}).cpu.seg(x86::SegmentName::Cs).base = 0;
  Server server(vm, {true, OnKill::Detach});
  testing::Client client(server);
  server.start();
  client.connect();
  EXPECT_EQ(client.ask("Z0,1000,1"), "OK");
  client.send("c");
  client.send("m1000,1");
  vm.vcpu({0}).cpu.rip = 0x1000;
  vm.happen({0}, hypervisor::exit::Breakpoint{1});
  server.drain_events();
  EXPECT_EQ(client.receive(), "00");
  EXPECT_EQ(client.receive(), "T05thread:01;");
  EXPECT_EQ(client.receive(), "(nothing)");
}

TEST(Server, Defect09_AClientThatNeverReadsBoundsTheQueues) {
  Bench bench;
  bench.attach();
  std::string burst;
  for (int i = 0; i < 1000; ++i)
    burst += "$m1000,1000#00";
  // Wrong checksums are answered too, and good ones with much more.
  std::string good;
  for (int i = 0; i < 400; ++i)
    rsp::append_frame(good, "m1000,400", rsp::RunLengthOutput::Off);
  bench.client.send_raw(burst);
  unsigned sent = 0;
  while (bench.server.wants_input() && sent < 1000) {
    bench.client.send_raw(good);
    ++sent;
  }
  EXPECT_LT(sent, 1000u);
  EXPECT_LT(bench.server.output().size(), 4u << 20);
  // Once it reads, it is served again.
  bench.client.take_raw();
  EXPECT_TRUE(bench.server.wants_input());
}

TEST(Server, Defect10_HugeNumbersAreRefused) {
  Bench bench(2);
  bench.attach();
  EXPECT_EQ(bench.ask("Tffffffffffffffff"), "E16");
  EXPECT_EQ(bench.ask("Tfffffffffffffffff"), "E16");
  EXPECT_EQ(bench.ask("Hg100000001"), "E16");
  EXPECT_EQ(bench.ask("T41"), "E16");
  EXPECT_EQ(bench.ask("qThreadExtraInfo,ffffffff"), "E16");
  EXPECT_EQ(bench.ask("qXfer:features:read:target.xml:ffffffff,ffffffff"), "l");
  EXPECT_EQ(bench.ask("qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff"), "l");
  EXPECT_EQ(bench.ask("p10000000000000010"), "E16");
}

TEST(Server, Defect11_WaitHoldsTheVcpuHoweverEarlyTheDebuggerComes) {
  Bench bench(1, kWait);
  bench.client.connect();
  bench.server.start();
  bench.run(3);
  EXPECT_EQ(bench.guest.vm.vcpu({0}).resumes, 0u);
  bench.ask("c");
  EXPECT_TRUE(bench.in_guest(0));
}

TEST(Server, AVcpuSentBackToWaitForItsStartDoesNotHoldUpAStop) {
  // INIT takes a vCPU out without an event; waiting for it to park would be for ever.
  Bench bench(2);
  bench.attach();
  bench.ask("c");
  bench.guest.vm.sleep({1});
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "S05");
  bench.ask("c");
  EXPECT_FALSE(bench.in_guest(1));
  bench.guest.vm.start({1});
  bench.server.drain_events();
  EXPECT_TRUE(bench.in_guest(1));
}

}  // namespace
}  // namespace ringside::debug
