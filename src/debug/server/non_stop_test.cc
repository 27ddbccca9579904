// Non-stop mode, packet by packet (GDB manual, "Remote Non-Stop").
#include "debug/server/server.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using testing::Bench;
namespace opcode = testing::opcode;

// A machine that has not run yet.
class NonStopServer : public ::testing::Test {
 protected:
  explicit NonStopServer(ServerOptions options = {.wait = true}) : bench(3, std::move(options)) {
    bench.attach();
    EXPECT_EQ(bench.ask("vCont?"), "vCont;c;C;s;S;t;r");
    EXPECT_EQ(bench.ask("QNonStop:1"), "OK");
  }
  std::string notified() { return bench.client.notified(); }
  Bench bench;
};

// A machine that runs as the client comes.
class NonStopServerOfARunningGuest : public NonStopServer {
 protected:
  NonStopServerOfARunningGuest() : NonStopServer(ServerOptions{}) {}
};

TEST_F(NonStopServer, TellsOfThreadsThatAreStopped) {
  EXPECT_EQ(bench.ask("?"), "T00thread:01;");
  EXPECT_EQ(bench.ask("vStopped"), "T00thread:02;");
  EXPECT_EQ(bench.ask("vStopped"), "T00thread:03;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_EQ(notified(), "(nothing)");
}

TEST_F(NonStopServerOfARunningGuest, LetsItRunOnButForOne) {
  EXPECT_EQ(bench.ask("?"), "T00thread:01;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  bench.run(2);
  EXPECT_FALSE(bench.in_guest(0));
  EXPECT_TRUE(bench.in_guest(1) && bench.in_guest(2));
}

TEST_F(NonStopServer, OneStopsAtABreakpointWhileTheOthersRun) {
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.guest.vm.vcpu({1}).cpu.rip = bench.guest.vm.vcpu({2}).cpu.rip = 0x3000;
  EXPECT_EQ(bench.ask("Z0,1004,1"), "OK");  // while all run
  EXPECT_EQ(notified(), "(nothing)");
  bench.run(5);
  EXPECT_EQ(notified(), "Stop:T05thread:01;");
  EXPECT_FALSE(bench.in_guest(0));
  EXPECT_TRUE(bench.in_guest(1) && bench.in_guest(2));
  // It can be looked at, and nobody comes out for that.
  const std::uint64_t before = bench.guest.rip(1);
  EXPECT_EQ(bench.ask("Hg1"), "OK");
  EXPECT_EQ(bench.ask("p10"), "0410000000000000");
  EXPECT_EQ(bench.ask("m1004,1"), "00");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  bench.run(4);
  EXPECT_EQ(bench.guest.rip(1), before + 4);
  EXPECT_EQ(bench.guest.rip(0), 0x1004u);
  // On from it, which it does not hit again.
  EXPECT_EQ(bench.ask("vCont;c:1"), "OK");
  bench.run(4);
  EXPECT_EQ(notified(), "(nothing)");
  EXPECT_GT(bench.guest.rip(0), 0x1005u);
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1) && bench.in_guest(2));
}

// One notification at a time; what the client has not acknowledged it does not resume.
TEST_F(NonStopServer, StopsAreToldInTheirOrder) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.run(3);
  EXPECT_EQ(notified(), "Stop:T05thread:01;");
  EXPECT_EQ(notified(), "(nothing)");
  EXPECT_EQ(bench.ask("vCont;c:2"), "OK");
  bench.run(3);
  EXPECT_FALSE(bench.in_guest(1));
  EXPECT_EQ(bench.ask("vStopped"), "T05thread:02;");
  EXPECT_EQ(bench.ask("vStopped"), "T05thread:03;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_EQ(bench.ask("vCont;s:2"), "OK");
  bench.run();
  EXPECT_EQ(notified(), "Stop:T05thread:02;");
  EXPECT_EQ(bench.guest.rip(1), 0x1002u);
  EXPECT_EQ(bench.guest.rip(0), 0x1001u);
}

TEST_F(NonStopServer, ThreadsAreStoppedByName) {
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  EXPECT_EQ(bench.ask("vCont;t:2"), "OK");
  EXPECT_EQ(notified(), "Stop:T00thread:02;");
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(2));
  EXPECT_EQ(bench.ask("vCont;t"), "OK");
  EXPECT_EQ(bench.ask("vStopped"), "T00thread:01;");
  EXPECT_EQ(bench.ask("vStopped"), "T00thread:03;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  // Who is stopped already has nothing to tell.
  EXPECT_EQ(bench.ask("vCont;t"), "OK");
  EXPECT_EQ(notified(), "(nothing)");
}

TEST_F(NonStopServer, CtrlCStopsTheThreadThatIsLookedAt) {
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  EXPECT_EQ(bench.ask("Hg3"), "OK");
  EXPECT_EQ(bench.ask("vCtrlC"), "OK");
  EXPECT_EQ(notified(), "Stop:T02thread:03;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  bench.client.interrupt();
  EXPECT_EQ(notified(), "Stop:T02thread:01;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
}

TEST_F(NonStopServer, RunningThreadsAreReadAllTheSame) {
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.run(2);
  EXPECT_EQ(bench.ask("Hg1"), "OK");
  EXPECT_EQ(bench.ask("p10"), "0210000000000000");
  bench.run(1);
  EXPECT_EQ(bench.ask("p10"), "0310000000000000");
  EXPECT_EQ(notified(), "(nothing)");
}

TEST_F(NonStopServer, WhatGoesByTheWholeMachineIsRefused) {
  for (const char* request : {"c", "s", "C05", "S05"})
    EXPECT_EQ(bench.ask(request), "E16") << request;
  EXPECT_EQ(bench.ask("QNonStop:1"), "OK");
  EXPECT_EQ(bench.ask("QNonStop:2"), "E16");
}

TEST_F(NonStopServer, AllStopComesBackWithEverybodyStopped) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  bench.guest.vm.vcpu({2}).cpu.rip = 0x3000;
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.run(2);
  EXPECT_EQ(notified(), "Stop:T05thread:01;");
  EXPECT_EQ(bench.ask("QNonStop:0"), "OK");
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1) || bench.in_guest(2));
  // What was not acknowledged is what the machine has stopped for.
  EXPECT_EQ(bench.ask("?"), "T05thread:01;");
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.client.receive(), "T05thread:02;");
  bench.client.send("vCont;c");
  bench.run(3);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1) && bench.in_guest(2));
}

TEST_F(NonStopServer, AllStopKnowsWhyTheMachineHasStopped) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("vCont;c:1"), "OK");
  bench.run(2);
  EXPECT_EQ(notified(), "Stop:T05thread:01;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_EQ(bench.ask("vCont;c:2"), "OK");
  bench.run();
  bench.guest.vm.happen({1}, hypervisor::exit::Dead{"it is over"});
  bench.server.drain_events();
  EXPECT_EQ(notified(), "Stop:T06thread:02;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_EQ(bench.ask("QNonStop:0"), "OK");
  EXPECT_EQ(bench.ask("?"), "T06thread:02;");
  // What was acknowledged is not told again.
  bench.client.send("vCont;c");
  EXPECT_EQ(bench.client.receive(), "(nothing)");
}

TEST_F(NonStopServer, TheNextConnectionIsAllStop) {
  EXPECT_EQ(bench.ask("Z0,1001,1"), "OK");
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.run(2);
  bench.client.disconnect();
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1) && bench.in_guest(2));
  EXPECT_EQ(bench.guest.byte(0x1001), 0);
  bench.client.connect();
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1) || bench.in_guest(2));
  EXPECT_EQ(bench.ask("?"), "S05");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
}

TEST_F(NonStopServer, TheEndIsANotification) {
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  bench.guest.vm.end({});
  bench.server.drain_events();
  EXPECT_EQ(notified(), "Stop:W01");
  // A connection that ended before that would seem to have broken.
  EXPECT_FALSE(bench.server.wants_close());
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_TRUE(bench.server.wants_close());
}

TEST_F(NonStopServer, TheEndFollowsWhatIsNotAcknowledged) {
  EXPECT_EQ(bench.ask("vCont;c"), "OK");
  EXPECT_EQ(bench.ask("vCont;t:1;t:2"), "OK");
  EXPECT_EQ(notified(), "Stop:T00thread:01;");
  bench.guest.vm.end({});
  bench.server.drain_events();
  EXPECT_EQ(notified(), "(nothing)");
  EXPECT_EQ(bench.ask("vStopped"), "T00thread:02;");
  EXPECT_EQ(bench.ask("vStopped"), "W01");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_TRUE(bench.server.wants_close());
}

TEST(NonStopExtended, WhoAttachesAgainIsInTheModeItChose) {
  Bench bench(2);
  bench.attach();
  EXPECT_EQ(bench.ask("!"), "OK");
  bench.ask("vCont?");
  EXPECT_EQ(bench.ask("QNonStop:1"), "OK");
  EXPECT_EQ(bench.ask("D"), "OK");
  bench.run();
  EXPECT_EQ(bench.ask("vAttach;1"), "OK");
  EXPECT_EQ(bench.client.notified(), "Stop:T00thread:01;");
  EXPECT_EQ(bench.ask("vStopped"), "OK");
  EXPECT_FALSE(bench.in_guest(0));
  EXPECT_TRUE(bench.in_guest(1));
}

}  // namespace
}  // namespace ringside::debug
