// Conditions and commands of breakpoints, breakpoints of the engine, and pending ones.
#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
using testing::FakeStoppoints;
using testing::ToyGuest;
namespace opcode = testing::opcode;
namespace exit = hypervisor::exit;

// rax == 3: reg 0, const8 3, equal, end.
constexpr const char* kRaxIs0 = "X7,26000022001327";
constexpr const char* kRaxIs3 = "X7,26000022031327";
constexpr const char* kRaxIs5 = "X7,26000022051327";
constexpr const char* kFalse = "X3,220027";
constexpr const char* kBroken = "X1,02";  // an addition on an empty stack

// printf("rax %d\n", rax): arguments, function and channel are pushed from the last to the first.
std::string print_rax() {
  std::string code =
      "260000"
      "2200"
      "2200"
      "340100";
  const std::string format = std::string("rax %d\n") + '\0';
  code += "08" + rsp::reply::hex(format) + "27";
  return "X" + std::string(code.size() / 2 == 20 ? "14" : "?") + "," + code;
}

std::string console(std::string_view text) { return "O" + rsp::reply::hex(text); }

// inc rax at 0x1000, round and round.
class Conditions : public ::testing::Test {
 protected:
  Conditions() {
    bench.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfd});
    bench.attach();
  }
  std::string monitor(std::string_view command) { return bench.monitor(command); }
  Bench bench;
  ToyGuest& guest = bench.guest;
};

TEST_F(Conditions, AFalseOneStopsNobodyAndATrueOneDoes) {
  EXPECT_EQ(bench.ask(std::string("Z0,1000,1;") + kRaxIs3), "OK");
  bench.client.send("c");
  bench.run(40);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rax(0), 3u);
  EXPECT_EQ(guest.rip(0), 0x1000u);
  EXPECT_NE(monitor("breakpoints").find("4 hits, 1 true"), std::string::npos);
}

TEST_F(Conditions, SeveralAreOr) {
  EXPECT_EQ(bench.ask(std::string("Z0,1000,1;") + kRaxIs5 + kFalse + kRaxIs3), "OK");
  for (const std::uint64_t expected : {3u, 5u}) {
    bench.client.send("c");
    bench.run(40);
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
    EXPECT_EQ(guest.rax(0), expected);
    bench.client.send("s");
    bench.run(2);
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  }
}

TEST_F(Conditions, OneThatCannotBeEvaluatedIsTrue) {
  EXPECT_EQ(bench.ask(std::string("Z0,1000,1;") + kFalse + kBroken), "OK");
  bench.client.send("c");
  bench.run(3);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
}

TEST_F(Conditions, AskingAgainReplacesThem) {
  EXPECT_EQ(bench.ask(std::string("Z0,1000,1;") + kFalse), "OK");
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  bench.client.send("c");
  bench.run(3);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(bench.ask("z0,1000,1"), "OK");
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
}

TEST_F(Conditions, MalformedOnesAreRefused) {
  for (const char* wrong : {";X", ";X5,2200", ";X2,22", ";Y", ";X1,zz", ";cmds:2,X1,27", ";cmds:"})
    EXPECT_EQ(bench.ask(std::string("Z0,1000,1") + wrong), "E16") << wrong;
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
}

TEST_F(Conditions, ABreakpointThatDoesNotCountIsPassedAloneWithTheOthersOut) {
  Bench two(2);
  two.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfd});
  two.attach();
  EXPECT_EQ(two.ask(std::string("Z0,1000,1;") + kRaxIs5), "OK");
  two.client.send("c");
  two.run(80);
  EXPECT_EQ(two.client.receive().substr(0, 10), "T05thread:");
  const std::uint64_t most = std::max(two.guest.rax(0), two.guest.rax(1));
  EXPECT_EQ(most, 5u);
  EXPECT_GE(std::min(two.guest.rax(0), two.guest.rax(1)), 4u);
}

// Two vCPUs that hit at the same moment: the second has not been told yet.
struct TwoHits {
  TwoHits() {
    bench.guest.write(0x1000, {opcode::kIncRax, opcode::kJump, 0xfd});
    bench.attach();
    EXPECT_EQ(bench.ask(place + kRaxIs0), "OK");
    bench.client.send("c");
    bench.run();
    EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  }
  const std::string place = "Z0,1000,1;";
  Bench bench{2};
};

TEST(ConditionsOfTwo, AHitThatWasNotToldIsToldAtTheNextResume) {
  TwoHits two;
  two.bench.client.send("c");
  EXPECT_EQ(two.bench.client.receive(), "T05thread:02;");
}

TEST(ConditionsOfTwo, AHitThatWasNotToldIsJudgedByANewCondition) {
  for (const char* in_between : {"?", "z0,1000,1"}) {
    TwoHits two;
    two.bench.ask(in_between);
    EXPECT_EQ(two.bench.ask(two.place + kRaxIs5), "OK");
    two.bench.client.send("c");
    two.bench.run(80);
    EXPECT_EQ(two.bench.client.receive().substr(0, 10), "T05thread:");
    EXPECT_EQ(std::max(two.bench.guest.rax(0), two.bench.guest.rax(1)), 5u);
  }
}

// What a condition looks at may change after the hit: it was true then.
TEST(ConditionsOfTwo, AHitThatWasNotToldIsNotJudgedTwiceByTheSameCondition) {
  TwoHits two;
  two.bench.guest.rax(1) = 7;
  EXPECT_EQ(two.bench.ask("z0,1000,1"), "OK");
  EXPECT_EQ(two.bench.ask(two.place + kRaxIs0), "OK");
  two.bench.client.send("c");
  EXPECT_EQ(two.bench.client.receive(), "T05thread:02;");
}

TEST_F(Conditions, CtrlCWhileOneIsBeingPassed) {
  EXPECT_EQ(bench.ask(std::string("Z0,1000,1;") + kFalse), "OK");
  bench.client.send("c");
  for (int i = 0; i < 5; ++i) {
    bench.run(3);
    bench.client.interrupt();
    EXPECT_EQ(bench.client.receive(), "S05");
    bench.client.send("c");
  }
  bench.client.disconnect();
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
}

TEST_F(Conditions, CommandsPrintAndStopNobody) {
  EXPECT_EQ(bench.ask("Z0,1000,1;" + std::string(kRaxIs3) + ";cmds:0," + print_rax()), "OK");
  EXPECT_EQ(bench.ask("Z0,1001,1;" + std::string(kRaxIs5)), "OK");
  bench.client.send("c");
  bench.run(60);
  EXPECT_EQ(bench.client.receive(), console("rax 3\n"));
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_EQ(guest.rax(0), 5u);
}

TEST_F(Conditions, ACommandThatFailsSaysSo) {
  EXPECT_EQ(bench.ask("Z0,1000,1;cmds:0,X1,02"), "OK");
  bench.client.send("c");
  bench.run(1);
  EXPECT_EQ(bench.client.receive(),
            console("A breakpoint's command failed: an expression's stack is empty\n"));
}

TEST_F(Conditions, WhoDoesNotReadHoldsUpHisOwnGuest) {
  EXPECT_EQ(bench.ask("Z0,1000,1;cmds:0," + print_rax()), "OK");
  bench.client.send("c");
  bench.client.take_raw();
  std::uint64_t before = ~std::uint64_t{0};
  for (int i = 0; i < 200 && before != guest.rax(0); ++i) {
    before = guest.rax(0);
    bench.run(1000);
  }
  EXPECT_EQ(before, guest.rax(0)) << "the guest still runs";
  EXPECT_LT(bench.server.output().size(), 2u << 20);
  for (int i = 0; i < 200 && before == guest.rax(0); ++i) {
    bench.client.take_raw();
    bench.run(10);
  }
  EXPECT_GT(guest.rax(0), before);
  bench.client.interrupt();
  std::string reply;
  do {
    reply = bench.client.receive();
  } while (reply[0] == 'O');
  EXPECT_EQ(reply, "S05");
}

class EngineBreakpoints : protected testing::HasStoppoints, public Conditions {
 protected:
  EngineBreakpoints() {
    engine.physical_supported = true;
    engine.give_to(guest.vm);
  }
  void modern() { bench.ask("qSupported:multiprocess+;swbreak+;hwbreak+"); }
  void hit(std::uint64_t address) {
    const hypervisor::Exit exit = exit::HardwareBreakpoint{Gva{address}};
    if (engine.filter == nullptr || engine.filter->wants_stop({0}, exit))
      guest.vm.happen({0}, exit);
    bench.server.drain_events();
  }
};

TEST_F(EngineBreakpoints, NoByteOfOursIsInMemory) {
  bench.ask("qSupported:swbreak+;hwbreak+");
  EXPECT_EQ(bench.ask("Z0,1000,1"), "OK");
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
  EXPECT_EQ(engine.physical, std::set<std::uint64_t>{0x1000});
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
  bench.client.send("c");
  hit(0x1000);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;swbreak:;");
  EXPECT_EQ(bench.ask("Z1,1000,1"), "OK");
  EXPECT_EQ(bench.ask("z0,1000,1"), "OK");
  bench.client.send("c");
  hit(0x1000);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;hwbreak:;");
  bench.client.disconnect();
  EXPECT_TRUE(engine.physical.empty());
  EXPECT_TRUE(engine.linear.empty());
}

TEST_F(EngineBreakpoints, TheFilterIsAskedOnce) {
  engine.filters = true;
  engine.give_to(guest.vm);
  EXPECT_EQ(bench.ask(std::string("Z0,1000,1;") + kRaxIs3), "OK");
  ASSERT_NE(engine.filter, nullptr);
  bench.client.send("c");
  for (guest.rax(0) = 0; guest.rax(0) < 3; ++guest.rax(0))
    EXPECT_FALSE(engine.filter->wants_stop({0}, exit::HardwareBreakpoint{Gva{0x1000}}));
  hit(0x1000);
  EXPECT_EQ(bench.client.receive(), "T05thread:01;");
  EXPECT_NE(monitor("breakpoints").find("4 hits, 1 true"), std::string::npos);
  bench.client.disconnect();
  EXPECT_EQ(engine.filter, nullptr);
}

TEST_F(EngineBreakpoints, WatchpointsHaveConditionsToo) {
  engine.filters = true;
  engine.give_to(guest.vm);
  EXPECT_EQ(bench.ask(std::string("Z2,2000,8;") + kRaxIs3), "OK");
  bench.client.send("c");
  const hypervisor::Exit watch = exit::Watchpoint{Gva{0x2000}, hypervisor::WatchKind::Write};
  EXPECT_FALSE(engine.filter->wants_stop({0}, watch));
  guest.rax(0) = 3;
  EXPECT_TRUE(engine.filter->wants_stop({0}, watch));
  guest.vm.happen({0}, watch);
  bench.server.drain_events();
  EXPECT_EQ(bench.client.receive(), "T05thread:01;watch:2000;");
}

TEST_F(EngineBreakpoints, RomToo) {
  guest.vm.memory().add_ram(Gpa{0xf0000}, 0x1000, hypervisor::MemoryKind::Rom);
  EXPECT_EQ(bench.ask("Z0,f0000,1"), "OK");
}

TEST_F(EngineBreakpoints, APlainClientsUnmappedBreakpointIsRefused) {
  EXPECT_EQ(bench.ask("Z0,ffff0000,1"), "E0e");
  EXPECT_TRUE(engine.linear.empty());
}

TEST_F(EngineBreakpoints, APendingOneIsFoundByItsLinearAddress) {
  modern();
  EXPECT_EQ(bench.ask("Z0,ffffffff80000000,1"), "OK");
  EXPECT_EQ(engine.linear, std::set<std::uint64_t>{0xffffffff80000000});
  EXPECT_EQ(bench.ask("Z1,ffffffff80000000,1"), "OK");
  EXPECT_EQ(bench.ask("z1,ffffffff80000000,1"), "OK");
  EXPECT_EQ(engine.linear.size(), 1u) << "two wishes, one breakpoint";
  bench.client.send("vCont;c");
  hit(0xffffffff80000000);
  std::string reply;
  do {
    reply = bench.client.receive();
  } while (reply[0] == 'O');
  EXPECT_EQ(reply.substr(0, 30), "T05thread:p01.01;swbreak:;");
  EXPECT_EQ(bench.ask("z0,ffffffff80000000,1"), "OK");
  EXPECT_TRUE(engine.linear.empty());
}

TEST_F(Conditions, WithoutTheEnginesHelpAPendingOneIsArmedAtAResume) {
  bench.ask("qSupported:multiprocess+");
  EXPECT_EQ(bench.ask("Z0,20000,1"), "OK");
  EXPECT_NE(monitor("breakpoints").find("pending"), std::string::npos);
  guest.vm.memory().add_ram(Gpa{0x20000}, 0x1000);
  bench.client.send("vCont;c");
  EXPECT_EQ(guest.byte(0x20000), opcode::kInt3);
  EXPECT_TRUE(guest.vm.vcpu({0}).has(Capability::BreakpointExit));
  bench.client.disconnect();
  EXPECT_EQ(guest.byte(0x20000), 0);
}

TEST_F(Conditions, APendingOneThatStillLeadsNowhereStaysWithItsCondition) {
  bench.ask("qSupported:multiprocess+");
  EXPECT_EQ(bench.ask(std::string("Z0,20000,1;") + kFalse), "OK");
  for (int i = 0; i < 3; ++i) {
    bench.client.send("vCont;s:p1.1");
    bench.run();
    bench.client.take_raw();
  }
  EXPECT_NE(monitor("breakpoints").find("pending, 0 hits, 0 true"), std::string::npos);
}

}  // namespace
}  // namespace ringside::debug
