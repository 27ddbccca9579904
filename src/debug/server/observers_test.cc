// Clients that look at a machine that another controls, or nobody.
#include <gtest/gtest.h>

#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using testing::Client;
namespace opcode = testing::opcode;

// A clock that the test moves.
struct Hand {
  std::chrono::steady_clock::time_point now{};
  ServerOptions set(ServerOptions options) {
    options.clock = [this] { return now += std::chrono::microseconds(1); };
    return options;
  }
};

// A guest that runs in a circle of three instructions, a client that lets it, and one that looks.
struct Looked : private Hand, public Bench {
  explicit Looked(ServerOptions options = {}) : Bench(2, set(std::move(options))), looker(server) {
    for (const unsigned at : {0x1000, 0x2000})
      guest.write(at, {opcode::kIncRax, opcode::kJump, 0xfd});
    guest.vm.vcpu({1}).cpu.rip = 0x2000;
    attach();
    ask("c");
    looker.connect_to_look();
  }
  // However long it takes.
  std::string look(std::string_view payload) {
    looker.send(payload);
    wait();
    return looker.receive();
  }
  // Until the one that looks has its turn.
  void wait() {
    now += server.time_to_look().value_or(std::chrono::nanoseconds(0));
    server.drain_events();
  }
  void pass(std::chrono::nanoseconds time) { now += time; }
  // The client lets the guest run and hears nothing.
  void expect_unseen() {
    EXPECT_EQ(client.receive(), "(nothing)");
    EXPECT_TRUE(in_guest(0) && in_guest(1));
  }
  Client looker;
};

TEST(Observers, AreToldWhatIsKnownOfTheGuestsSystem) {
  ServerOptions options;
  options.guest.os_data = [](std::string_view kind) -> Result<std::string> {
    return "<" + std::string(kind) + ">";
  };
  options.guest.libraries = []() -> Result<std::vector<GuestLibrary>> {
    return std::vector<GuestLibrary>{{"m.ko", {0x1000}}};
  };
  options.guest.library_events = []() -> Result<std::vector<Gva>> {
    return std::vector<Gva>{{0x1000}};
  };
  Looked bench(std::move(options));
  EXPECT_EQ(bench.look("qXfer:osdata:read:cpus:0,fff"), "l<cpus>");
  EXPECT_NE(bench.look("qXfer:libraries:read::0,fff").find("m.ko"), std::string::npos);
  EXPECT_EQ(bench.look("qOffsets"), "");
  // modules watch on
  EXPECT_NE(bench.look("qRcmd,6d6f64756c6573207761746368206f6e").find("6f6e6c79206c6f6f6b73"),
            std::string::npos)
      << "it only looks";
  bench.expect_unseen();
}

TEST(Observers, ReadAMachineThatRunsAndNobodyNotices) {
  Looked bench;
  for (int i = 0; i < 3; ++i) {
    bench.run(3);
    EXPECT_EQ(bench.look("?"), "T05thread:01;");
    EXPECT_EQ(bench.look("m1000,3"), "40ebfd");
    EXPECT_EQ(bench.look("qfThreadInfo"), "m01,02");
    EXPECT_EQ(bench.look("Hg2"), "OK");
    EXPECT_EQ(bench.look("p10").substr(2, 14), "20000000000000");
    EXPECT_EQ(bench.look("Hg1"), "OK");

    bench.expect_unseen();
  }
  EXPECT_GT(bench.guest.rax(0), 1u);
}

// Of what LLDB asks, that which changes nothing but the session.
TEST(Observers, MayUseLldb) {
  Looked bench;
  EXPECT_EQ(bench.look("QThreadSuffixSupported"), "OK");
  EXPECT_EQ(bench.look("QListThreadsInStopReply"), "OK");
  const std::string reply = bench.look("?");
  EXPECT_EQ(reply.substr(0, 36), "T05thread:01;threads:01,02;thread-pc") << reply;
  EXPECT_EQ(bench.look("qThreadStopInfo2").substr(0, 13), "T00thread:02;");
  EXPECT_EQ(bench.look("jThreadsInfo"),
            R"([{"tid":1,"name":"vCPU 0","signal":5},{"tid":2,"name":"vCPU 1"}])");
  EXPECT_EQ(bench.look("p10;thread:2;").substr(2, 14), "20000000000000");
  EXPECT_EQ(bench.look("P0=3300000000000000;thread:2;"), "E16");
  EXPECT_EQ(bench.look("QSaveRegisterState"), "E16");
  EXPECT_EQ(bench.look("QRestoreRegisterState:1"), "E16");
  EXPECT_EQ(bench.look(R"(jMultiBreakpoint:{"breakpoint_requests":["Z0,2000,1"]})"), "E16");
  EXPECT_EQ(bench.look("MultiMemRead:ranges:1000,2;"), "2;\x40\xeb");
  bench.expect_unseen();
}

TEST(Observers, AreToldOfAStoppedMachineAsItStopped) {
  Looked bench;
  bench.ask("Z0,1000,1");
  bench.run(4);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.look("qSupported:swbreak+;multiprocess+").substr(0, 10), "PacketSize");
  EXPECT_EQ(bench.look("vCont?").substr(0, 5), "vCont");
  EXPECT_EQ(bench.look("?"), "T05thread:p01.01;");
  // The byte under the breakpoint is the guest's.
  EXPECT_EQ(bench.look("m1000,1"), "40");
  // Their choices are their own.
  EXPECT_EQ(bench.look("Hg2"), "OK");
  EXPECT_EQ(bench.client.ask("qC"), "QC01");
}

TEST(Observers, ChangeNothing) {
  Looked bench;
  bench.ask("Z0,1002,1");  // between two instructions, and so never met
  bench.look("qSupported:error-message+");
  for (const char* request : {"c",
                              "s",
                              "C05",
                              "S05",
                              "vCont;c",
                              "vCont;s:1",
                              "vCont;r1000,2000:1",
                              "bs",
                              "bc",
                              "G00",
                              "P0=0000000000000000",
                              "M1000,1:90",
                              "X1000,1:a",
                              "Z0,1000,1",
                              "z0,1002,1",
                              "Z1,1000,1",
                              "Z2,1000,1",
                              "vAttach;1",
                              "vRun;",
                              "vCtrlC",
                              "Qqemu.sstep=1",
                              "QNonStop:1",
                              "vStopped",
                              "R00"}) {
    const std::string answer = bench.look(request);
    EXPECT_EQ(answer.substr(0, 2), "E.") << request;
    EXPECT_NE(answer.find("monitor control"), std::string::npos) << request;
  }
  EXPECT_EQ(bench.look("QNonStop:0"), "OK");  // which GDB asks for explicitly
  bench.looker.interrupt();
  EXPECT_EQ(bench.guest.byte(0x1000), opcode::kIncRax);
  bench.expect_unseen();
  bench.run(6);
  bench.expect_unseen();
}

std::string hex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::string monitor(Looked& bench, std::string_view command) {
  return bench.look("qRcmd," + hex(command));
}

TEST(Observers, AskTheMonitorAndChangeNothingByIt) {
  ServerOptions options;
  int changed = 0, looked = 0;
  options.commands.push_back({"poke", "", "", [&](std::string_view) {
                                ++changed;
                                return std::string("done\n");
                              }});
  options.commands.push_back({"peek",
                              "",
                              "",
                              [&](std::string_view) {
                                ++looked;
                                return std::string("seen\n");
                              },
                              {},
                              true});
  Looked bench(std::move(options));
  EXPECT_EQ(monitor(bench, "peek"), hex("seen\n"));
  EXPECT_NE(monitor(bench, "vcpus").find(hex("CPU #1")), std::string::npos);
  EXPECT_NE(monitor(bench, "help").find(hex("registers")), std::string::npos);
  for (const char* command : {"poke", "quit", "forget", "watch-phys 0x1000 4",
                              "unwatch-phys 0x1000", "msr efer 0", "bind 0x1000 0x2000"})
    EXPECT_NE(monitor(bench, command).find(hex("only looks")), std::string::npos) << command;
  EXPECT_EQ(changed, 0);
  EXPECT_EQ(looked, 1);
  EXPECT_FALSE(bench.server.wants_vm_end());
  bench.expect_unseen();
}

// Who waits for a stop is told why there is none; who understands sentences has it in the error,
// and no other request may be answered by two packets.
TEST(Observers, AreToldInWordsWhyNothingIsResumed) {
  Looked bench;
  for (const char* resume : {"c", "s", "vCont;c", "vCont;s:1;c"}) {
    EXPECT_EQ(bench.look(resume).substr(0, 1), "O") << resume;
    EXPECT_EQ(bench.looker.receive(), "E16") << resume;
  }
  for (const char* change : {"P0=3300000000000000", "M1000,1:90", "Z0,1000,1"})
    EXPECT_EQ(bench.look(change), "E16") << change;
  bench.look("qSupported:error-message+");
  EXPECT_EQ(bench.look("c").substr(0, 10), "E.another ");
  bench.expect_unseen();
}

TEST(Observers, LeaveAndTheMachineRunsOn) {
  for (const char* request : {"D", "k", "vKill;1"}) {
    Looked bench({.on_kill = OnKill::Stop});
    bench.look(request);
    bench.looker.disconnect();
    EXPECT_FALSE(bench.server.wants_vm_end());
    bench.expect_unseen();
  }
}

TEST(Observers, TakeTheMachineOverWhereNobodyHasIt) {
  Looked bench;
  EXPECT_NE(monitor(bench, "control").find(hex("another debugger has the machine")),
            std::string::npos);
  EXPECT_FALSE(bench.looker.wants_control());
  bench.ask("Z0,1002,1");
  bench.client.disconnect();
  bench.run(3);
  // It does not inherit.
  EXPECT_EQ(bench.look("s"), "O" + hex("another debugger has the machine, and this one only looks; "
                                       "'monitor control' takes it over once that has gone\n"));
  EXPECT_EQ(bench.looker.receive(), "E16");
  bench.looker.send("qRcmd," + hex("control"));
  bench.wait();
  ASSERT_TRUE(bench.looker.wants_control());
  EXPECT_TRUE(bench.in_guest(0));
  bench.looker.take_control();
  EXPECT_NE(bench.looker.receive().find(hex("has the machine now")), std::string::npos);
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  const std::uint64_t before = bench.guest.rip(0);
  bench.looker.send("s");
  bench.run();
  EXPECT_EQ(bench.looker.receive(), "T05thread:01;");
  EXPECT_NE(bench.guest.rip(0), before);
  bench.looker.disconnect();
  bench.run();
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
}

// The look is under way when somebody comes or goes: vCPUs of an engine with threads take a while.
TEST(Observers, AnyoneMayComeAndGoInTheMiddleOfALook) {
  const auto begin = [](Looked& bench) {
    bench.guest.vm.lazy = true;
    bench.pass(std::chrono::seconds(1));
    bench.looker.send("p10");
    EXPECT_TRUE(bench.in_guest(0));  // asked to leave, and has not yet
  };
  const auto end = [](Looked& bench) {
    bench.guest.vm.park_all();
    bench.server.drain_events();
  };
  {
    Looked bench;
    begin(bench);
    bench.looker.disconnect();
    end(bench);
    bench.expect_unseen();
  }
  {
    Looked bench;
    begin(bench);
    bench.client.disconnect();
    end(bench);
    end(bench);
    EXPECT_EQ(bench.looker.receive().substr(4), "000000000000");
    EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
    // And with nobody else.
    begin(bench);
    end(bench);
    EXPECT_EQ(bench.looker.receive().substr(4), "000000000000");
    EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
    begin(bench);
    bench.client.connect();
    end(bench);
    EXPECT_EQ(bench.looker.receive().substr(4), "000000000000");
    EXPECT_EQ(bench.client.ask("?"), "S05");
    EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  }
  {
    Looked bench;
    begin(bench);
    bench.client.interrupt();
    end(bench);
    end(bench);
    EXPECT_EQ(bench.looker.receive().substr(4), "000000000000");
    EXPECT_EQ(bench.client.receive(), "S05");
    EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  }
}

// Between their requests sockets are read: a machine that stands is looked at without limit.
TEST(Observers, HoldNobodyUpWithManyRequestsAtOnce) {
  Looked bench;
  bench.client.interrupt();
  bench.run(1);
  EXPECT_EQ(bench.client.receive(), "S05");
  bench.pass(std::chrono::seconds(1));
  std::string three;
  for (int i = 0; i < 3; ++i)
    rsp::append_frame(three, "m1000,1", rsp::RunLengthOutput::Off);
  bench.looker.send_raw(three);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bench.looker.receive(), "40");
    EXPECT_EQ(bench.looker.receive(), "(nothing)");
    EXPECT_EQ(bench.server.time_to_look(),
              i < 2 ? std::optional(std::chrono::nanoseconds(0)) : std::nullopt);
    bench.server.drain_events();
  }
}

TEST(Observers, TakeASmallShareOfTheTimeFromAGuestThatRuns) {
  Looked bench;
  EXPECT_EQ(bench.look("m1000,1"), "40");
  EXPECT_EQ(bench.server.time_to_look(), std::nullopt);
  EXPECT_EQ(bench.looker.ask("m1000,1"), "(nothing)");
  const auto wait = bench.server.time_to_look();
  ASSERT_TRUE(wait && *wait > std::chrono::nanoseconds(0));
  bench.expect_unseen();
  bench.wait();
  EXPECT_EQ(bench.looker.receive(), "40");
  bench.expect_unseen();
}

// Between two looks nobody walks through them: neither the server after a slice of the guest, nor
// the owner of their sockets.
TEST(Observers, RestWhileTheyWaitForTheirTime) {
  Looked bench;
  EXPECT_EQ(bench.look("m1000,1"), "40");
  bench.server.drain_events();
  EXPECT_TRUE(bench.server.observers_rest());
  bench.looker.send("m1000,1");
  EXPECT_FALSE(bench.server.observers_rest()) << "there is an acknowledgement to write";
  EXPECT_EQ(bench.looker.receive(), "(nothing)");
  bench.server.drain_events();
  EXPECT_TRUE(bench.server.observers_rest());
  bench.run(3);
  EXPECT_TRUE(bench.server.observers_rest());
  bench.wait();
  EXPECT_FALSE(bench.server.observers_rest()) << "there is an answer to write";
  EXPECT_EQ(bench.looker.receive(), "40");
  bench.server.drain_events();
  EXPECT_TRUE(bench.server.observers_rest());
}

TEST(Observers, AreServedAtOnceWhereTheMachineStandsAndItsClientIsSilent) {
  Looked bench;
  bench.client.interrupt();
  EXPECT_EQ(bench.client.receive(), "S05");
  bench.pass(std::chrono::seconds(1));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(bench.looker.ask("m1000,1"), "40");
  // And not, while it speaks.
  bench.ask("m1000,1");
  EXPECT_EQ(bench.looker.ask("m1000,1"), "(nothing)");
  bench.wait();
  EXPECT_EQ(bench.looker.receive(), "40");
}

}  // namespace
}  // namespace ringside::debug
