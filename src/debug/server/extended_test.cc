// A session in extended mode, in which a client may leave the machine and take it again, and how
// the end of the machine is told.
#include "debug/server/server.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using hypervisor::VmEnd;
using testing::Bench;

// A machine that restarts as one does: at an entry of its own, with nothing to tell.
struct Extended : Bench {
  explicit Extended(unsigned vcpus = 1)
      : Bench(vcpus, [this] {
          ServerOptions options;
          options.restart = [this] { return restart(); };
          options.console = [this](std::string_view text) { console += text; };
          return options;
        }()) {
    attach();
  }
  Result<void> restart() {
    for (unsigned i = 0; i < guest.vm.vcpu_count(); ++i)
      all_out = all_out && !in_guest(i);
    if (fails) return fail(ErrorCode::System, "the kernel is gone");
    ++restarts;
    guest.vm.vcpu({0}).cpu.rip = 0x2000;
    return {};
  }

  bool fails = false, all_out = true;
  int restarts = 0;
  std::string console;
};

TEST(ExtendedMode, IsAgreedWithAnExclamationMark) {
  Extended bench;
  for (const char* packet : {"vRun;", "vAttach;1", "R00"})
    EXPECT_EQ(bench.ask(packet), "") << packet;
  EXPECT_EQ(bench.restarts, 0);
  EXPECT_EQ(bench.ask("!"), "OK");
  EXPECT_EQ(bench.ask("vRun;"), "S05");
  EXPECT_EQ(bench.restarts, 1);
  // It is a thing of the session.
  bench.client.disconnect();
  bench.client.connect();
  EXPECT_EQ(bench.ask("vRun;"), "");
}

TEST(ExtendedMode, WithoutAnOwnerWhoCanRestartThereIsNoRun) {
  Bench bench;
  bench.attach();
  EXPECT_EQ(bench.ask("!"), "OK");
  EXPECT_EQ(bench.ask("vRun;"), "");
  EXPECT_EQ(bench.ask("R00"), "");
}

TEST(ExtendedMode, DetachingAndKillingLeaveTheConnection) {
  for (const char* packet : {"D", "D;1", "vKill;1"}) {
    SCOPED_TRACE(packet);
    Extended bench(2);
    bench.ask("!");
    bench.ask("Z0,1004,1");
    EXPECT_EQ(bench.ask(packet), "OK");
    EXPECT_FALSE(bench.server.wants_close());
    EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
    bench.run(6);  // the breakpoint is gone
    EXPECT_EQ(bench.guest.rip(0), 0x1006u);
    EXPECT_EQ(bench.client.receive(), "(nothing)");
    // There is no process.
    EXPECT_EQ(bench.ask("?"), "W00");
    EXPECT_EQ(bench.ask("qfThreadInfo"), "l");
    for (const char* about_it : {"g", "m1000,1", "c", "vCont;c", "qC", "Hg1", "Z0,1000,1", "D",
                                 "qRcmd,68656c70", "qXfer:threads:read::0,100"})
      EXPECT_EQ(bench.ask(about_it), "E02") << about_it;
    bench.client.interrupt();
    EXPECT_TRUE(bench.in_guest(0));
    EXPECT_EQ(bench.ask("vAttach;2"), "E02");
    EXPECT_TRUE(bench.in_guest(0));
    EXPECT_EQ(bench.ask("vAttach;1"), "S05");
    EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
    EXPECT_EQ(bench.ask("vAttach;1"), "E16");
    EXPECT_EQ(bench.ask("m1000,1"), "00");
    EXPECT_EQ(bench.ask("c"), "(nothing)");
    bench.client.disconnect();
    EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
  }
}

TEST(ExtendedMode, KHasNoAnswer) {
  Extended bench;
  bench.ask("!");
  EXPECT_EQ(bench.ask("k"), "(nothing)");
  EXPECT_FALSE(bench.server.wants_close());
  EXPECT_EQ(bench.ask("k"), "(nothing)") << "without a process as well";
  EXPECT_EQ(bench.ask("?"), "W00");
}

TEST(ExtendedMode, AKilledMachineRunsAgain) {
  Extended bench(2);
  bench.ask("!");
  bench.ask("QStartNoAckMode");
  bench.ask("vCont?");
  bench.ask("Qqemu.PhyMemMode:1");
  bench.ask("Hg2");
  EXPECT_EQ(bench.ask("vKill;1"), "OK");
  bench.run(3);
  EXPECT_EQ(bench.ask("vRun;;61"), "T05thread:01;");
  EXPECT_TRUE(bench.all_out);
  EXPECT_EQ(bench.guest.rip(0), 0x2000u);
  bench.run(3);
  EXPECT_EQ(bench.guest.rip(0), 0x2000u);
  EXPECT_EQ(bench.ask("?"), "T05thread:01;");
  EXPECT_EQ(bench.ask("qC"), "QC01");
  EXPECT_EQ(bench.ask("qqemu.PhyMemMode"), "0");
  EXPECT_EQ(bench.ask("Z0,2002,1"), "OK");
  bench.client.send("vCont;c");
  bench.run(4);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
}

// It would end with the first instruction.
TEST(ExtendedMode, AMachineThatHasDiedIsKeptForARestart) {
  Extended bench(2);
  bench.ask("!");
  bench.ask("vCont?");
  bench.ask("Z0,2002,1");
  bench.client.send("vCont;c");
  bench.guest.vm.happen({1}, hypervisor::exit::Dead{"why"});
  bench.server.drain_events();
  bench.client.receive();  // the words
  EXPECT_EQ(bench.client.receive(), "T06thread:02;");
  EXPECT_EQ(bench.ask("vKill;1"), "OK");
  EXPECT_EQ(bench.ask("?"), "W00");
  bench.run(3);
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  EXPECT_NE(bench.guest.byte(0x2002), 0xcc);
  bench.fails = true;
  EXPECT_EQ(bench.ask("vRun;"), "E16");
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  bench.fails = false;
  EXPECT_EQ(bench.ask("vRun;"), "T05thread:01;");
  EXPECT_EQ(bench.ask("D"), "OK");
  EXPECT_TRUE(bench.in_guest(0));
}

TEST(ExtendedMode, WhoHasKilledADeadMachineAndGoesLetsItEnd) {
  Extended bench;
  bench.ask("!");
  bench.ask("vCont?");
  bench.client.send("vCont;c");
  bench.guest.vm.happen({0}, hypervisor::exit::Dead{"why"});
  bench.server.drain_events();
  bench.client.receive();
  bench.ask("vKill;1");
  EXPECT_FALSE(bench.in_guest(0));
  bench.client.disconnect();
  EXPECT_TRUE(bench.in_guest(0));
  EXPECT_FALSE(bench.guest.vm.stops_instead_of_death());
}

TEST(ExtendedMode, RRestartsWithoutAnAnswer) {
  Extended bench;
  bench.ask("!");
  EXPECT_EQ(bench.ask("R00"), "(nothing)");
  EXPECT_EQ(bench.guest.rip(0), 0x2000u);
  EXPECT_EQ(bench.ask("?"), "S05");
}

TEST(ExtendedMode, ARunningGuestIsNotRestarted) {
  Extended bench;
  bench.ask("!");
  bench.client.send("c");
  EXPECT_EQ(bench.ask("vRun;"), "E16");
  EXPECT_EQ(bench.restarts, 0);
  EXPECT_TRUE(bench.in_guest(0));
}

TEST(ExtendedMode, AFailedRestartLeavesEverythingAsItWas) {
  Extended bench;
  bench.fails = true;
  bench.ask("qSupported:error-message+");
  bench.ask("!");
  EXPECT_EQ(bench.ask("vRun;"), "E.the kernel is gone");
  EXPECT_EQ(bench.guest.rip(0), 0x1000u);
  EXPECT_EQ(bench.ask("?"), "S05");
  EXPECT_EQ(bench.ask("R00"), "(nothing)");
  EXPECT_EQ(bench.console, "R: the kernel is gone\n");
  bench.ask("vKill;1");
  bench.run(2);
  EXPECT_EQ(bench.ask("vRun;"), "E.the kernel is gone");
  EXPECT_TRUE(bench.in_guest(0));
  EXPECT_EQ(bench.ask("?"), "W00");
}

// --- Ends

std::string told(Bench& bench, VmEnd end) {
  bench.client.send("c");
  bench.guest.vm.end(std::move(end));
  bench.server.drain_events();
  return bench.client.receive();
}

TEST(End, HasTheStatusOfTheProcess) {
  using Kind = VmEnd::Kind;
  const std::pair<VmEnd, const char*> ends[] = {
      {{Kind::Reboot, 0, ""}, "W00"},        {{Kind::PowerOff, 0, ""}, "W01"},
      {{Kind::Halt, 0, ""}, "W02"},          {{Kind::DebugExit, 0x55, ""}, "W55"},
      {{Kind::DebugExit, 0x201, ""}, "W01"},  // a process has eight bits of it
  };
  for (const auto& [end, reply] : ends) {
    Bench bench;
    bench.attach();
    EXPECT_EQ(told(bench, end), reply);
    EXPECT_TRUE(bench.server.wants_close());
    EXPECT_EQ(bench.client.receive(), "(nothing)");
  }
}

TEST(End, OfATripleFaultOrAnErrorIsASignalWithWords) {
  for (const VmEnd::Kind kind : {VmEnd::Kind::TripleFault, VmEnd::Kind::Error}) {
    Bench bench;
    bench.attach();
    EXPECT_EQ(told(bench, {kind, 0, "why"}), "O7768790a");
    EXPECT_EQ(bench.client.receive(), "X06");
    EXPECT_TRUE(bench.server.wants_close());
  }
}

TEST(End, NamesTheProcessWhereThatIsAgreed) {
  Bench bench;
  bench.attach();
  bench.ask("qSupported:multiprocess+");
  EXPECT_EQ(told(bench, {VmEnd::Kind::PowerOff, 0, ""}), "W01;process:1");
}

// The step is over and the machine as well: the client gets one answer.
TEST(End, IsToldWhereTheLastStepIsOver) {
  Bench bench;
  bench.attach();
  bench.client.send("s");
  bench.guest.vm.end({VmEnd::Kind::Reboot, 0, ""});
  bench.run();
  EXPECT_EQ(bench.client.receive(), "W00");
  EXPECT_TRUE(bench.server.wants_close());
}

// A reply that nobody waits for would be taken for the answer to the next request.
TEST(End, IsNotToldToAClientThatHasTheGuestStopped) {
  Bench bench;
  bench.attach();
  bench.guest.vm.end({VmEnd::Kind::PowerOff, 0, ""});
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  EXPECT_TRUE(bench.server.wants_close());
}

TEST(End, FromOutsideIsToldToo) {
  Bench bench;
  bench.attach();
  bench.server.announce_end(4);
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  bench.client.send("c");
  bench.server.announce_end(4);
  EXPECT_EQ(bench.client.receive(), "W04");
}

}  // namespace
}  // namespace ringside::debug
