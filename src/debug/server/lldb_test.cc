// What LLDB asks beyond GDB's packets.
#include <gmock/gmock.h>

#include "base/hex.h"
#include "debug/server/server.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using testing::Bench;
using ::testing::HasSubstr;
using ::testing::Not;

class LldbPackets : public ::testing::Test {
 protected:
  LldbPackets() { bench.attach(); }
  // As LLDB 19 begins.
  void begin() {
    bench.ask("qSupported:xmlRegisters=i386,arm,mips,arc;multiprocess+;swbreak+;hwbreak+");
    EXPECT_EQ(bench.ask("QThreadSuffixSupported"), "OK");
    EXPECT_EQ(bench.ask("QListThreadsInStopReply"), "OK");
    bench.ask("vCont?");
    bench.ask("qXfer:features:read:target.xml:0,1ffff");
  }
  std::string triple_of(const std::string& reply) {
    const std::size_t at = reply.find("triple:") + 7;
    const auto bytes = from_hex(reply.substr(at, reply.find(';', at) - at)).value();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  Bench bench{3};
  testing::ToyGuest& guest = bench.guest;
};

TEST_F(LldbPackets, HostAndProcessAreTheMachine) {
  const std::string host = bench.ask("qHostInfo"), process = bench.ask("qProcessInfo");
  EXPECT_THAT(host, HasSubstr("watchpoint_exceptions_received:after;"));
  EXPECT_EQ(process.substr(0, 6), "pid:1;");
  for (const std::string& reply : {host, process}) {
    EXPECT_EQ(triple_of(reply), "x86_64-unknown-none-elf");
    EXPECT_THAT(reply, HasSubstr("endian:little;ptrsize:8;"));
  }
  EXPECT_THAT(bench.ask("qGDBServerVersion"), ::testing::MatchesRegex("name:ringside;version:.+;"));
}

// LLDB's session would be over where a resume gets an error.
TEST_F(LldbPackets, WhoLooksStaysWhereTheMachineIs) {
  testing::Client other(bench.server);
  other.connect_to_look();
  EXPECT_EQ(other.ask("vCont;s:1").substr(0, 1), "O");
  EXPECT_EQ(other.receive(), "E16");
  EXPECT_EQ(other.ask("QListThreadsInStopReply"), "OK");
  const std::string there = other.ask("?");
  for (const char* resume : {"vCont;s:1", "vCont;c", "c", "bs"}) {
    EXPECT_THAT(other.ask(resume), ::testing::StartsWith("O")) << "a word on why";
    EXPECT_EQ(other.receive(), there);
  }
}

// The toy guest has none.
TEST_F(LldbPackets, WatchpointsAreThereOrNot) {
  EXPECT_EQ(bench.ask("qWatchpointSupportInfo:"), "num:0;");
}

TEST_F(LldbPackets, ThreadSuffixesMeanOnePacketAlone) {
  guest.rax(0) = 0x11;
  guest.rax(1) = 0x22;
  EXPECT_EQ(bench.ask("g;thread:0002;").substr(0, 16), "2200000000000000");
  EXPECT_EQ(bench.ask("p0;thread:2;"), "2200000000000000");
  EXPECT_EQ(bench.ask("P0=3300000000000000;thread:2;"), "OK");
  EXPECT_EQ(guest.rax(0), 0x11u);
  EXPECT_EQ(guest.rax(1), 0x33u);
  const std::string all = bench.ask("g;thread:2;");
  EXPECT_EQ(bench.ask("G" + all + ";thread:3;"), "OK");
  EXPECT_EQ(guest.rax(2), 0x33u);
  // The thread that was chosen still is.
  EXPECT_EQ(bench.ask("p0"), "1100000000000000");
  EXPECT_EQ(bench.ask("qC"), "QC01");
  EXPECT_EQ(bench.ask("p0;thread:9;"), "E16");
}

TEST_F(LldbPackets, StopRepliesListThreadsForWhoAsked) {
  guest.vm.vcpu({1}).cpu.rip = 0x1234;
  EXPECT_THAT(bench.ask("?"), Not(HasSubstr("threads:")));
  begin();
  const std::string reply = bench.ask("?");
  EXPECT_THAT(reply, HasSubstr(";threads:p01.01,p01.02,p01.03;thread-pcs:"));
  EXPECT_THAT(reply, HasSubstr(",1234,"));
  // LLDB takes two digits for a register.
  EXPECT_THAT(reply, HasSubstr(";07:"));
}

TEST_F(LldbPackets, ReasonsAreNamedForWhoAsked) {
  begin();
  const std::string step = bench.ask("vCont;s:1");
  bench.run();
  EXPECT_THAT(bench.client.receive(), HasSubstr(";reason:trace;"));
  EXPECT_THAT(bench.ask("qThreadStopInfo1"), HasSubstr("T05thread:p01.01;"));
  EXPECT_THAT(bench.ask("qThreadStopInfo1"), HasSubstr(";reason:trace;"));
  // The others have none: they only stopped because the first did.
  const std::string other = bench.ask("qThreadStopInfo2");
  EXPECT_EQ(other.substr(0, 17), "T00thread:p01.02;");
  EXPECT_THAT(other, Not(HasSubstr("reason")));
  EXPECT_EQ(bench.ask("qThreadStopInfo9"), "E16");
}

TEST_F(LldbPackets, AllThreadsInJson) {
  begin();
  guest.rax(1) = 0x22;
  bench.ask("vCont;s:1");
  bench.run();
  bench.client.receive();
  const std::string json = bench.ask("jThreadsInfo");
  EXPECT_EQ(
      json.rfind(R"([{"tid":1,"name":"vCPU 0","signal":5,"reason":"trace","registers":{"0":)", 0),
      0u)
      << json;
  EXPECT_THAT(json, HasSubstr(R"(},{"tid":2,"name":"vCPU 1","registers":{"0":"2200000000000000")"));
  EXPECT_THAT(json, HasSubstr(R"("16":")"));
  EXPECT_EQ(json.substr(json.size() - 3), "}}]");
}

TEST_F(LldbPackets, ErrorsHaveWordsBesideTheNumber) {
  EXPECT_EQ(bench.ask("Hg9"), "E16");
  EXPECT_EQ(bench.ask("QEnableErrorStrings"), "OK");
  EXPECT_EQ(bench.ask("Hg9"), "E16;" + to_hex("there is no such thread"));
}

TEST_F(LldbPackets, SavedRegistersComeBackOnce) {
  guest.rax(1) = 0x22;
  const std::string number = bench.ask("QSaveRegisterState;thread:0002;");
  EXPECT_EQ(number, "1");
  EXPECT_EQ(bench.ask("P0=3300000000000000;thread:2;"), "OK");
  EXPECT_EQ(bench.ask("QRestoreRegisterState:1;thread:1;"), "E02");
  EXPECT_EQ(bench.ask("QRestoreRegisterState:1;thread:2;"), "OK");
  EXPECT_EQ(guest.rax(1), 0x22u);
  EXPECT_EQ(bench.ask("QRestoreRegisterState:1;thread:2;"), "E02");
  EXPECT_EQ(bench.ask("QSaveRegisterState"), "2");
}

// A client that never restores holds no more than 64.
TEST_F(LldbPackets, TheEldestSavedRegistersMakeRoom) {
  for (int i = 1; i <= 65; ++i)
    EXPECT_EQ(bench.ask("QSaveRegisterState"), std::to_string(i));
  EXPECT_EQ(bench.ask("QRestoreRegisterState:1"), "E02");
  EXPECT_EQ(bench.ask("QRestoreRegisterState:2"), "OK");
  EXPECT_EQ(bench.ask("QRestoreRegisterState:65"), "OK");
}

TEST_F(LldbPackets, SavedRegistersGoWithTheSession) {
  EXPECT_EQ(bench.ask("QSaveRegisterState"), "1");
  bench.client.disconnect();
  bench.client.connect();
  EXPECT_EQ(bench.ask("QRestoreRegisterState:1"), "E02");
}

TEST_F(LldbPackets, NoMemoryIsTheDebuggers) {
  EXPECT_EQ(bench.ask("_M1000,rwx"), "E2d");
  EXPECT_EQ(bench.ask("_m1000"), "E2d");
}

TEST_F(LldbPackets, SeveralRangesOfMemoryInOnePacket) {
  EXPECT_THAT(bench.ask("qSupported"), HasSubstr("MultiMemRead+"));
  EXPECT_EQ(bench.ask("M2000,4:7d232a24"), "OK");  // all that framing escapes
  EXPECT_EQ(bench.ask("MultiMemRead:ranges:2000,2,ffffffffffff0000,10,2002,2,2000,0;"),
            std::string("2,0,2,0;}#*$"));
  // All together fill a packet, and what is too much is missing at the end.
  const std::string reply = bench.ask("MultiMemRead:ranges:0,ffffffff,0,10;");
  EXPECT_LT(reply.size(), 0x10010u);
  EXPECT_EQ(bench.ask("MultiMemRead:ranges:0,1"), "E16");
}

TEST_F(LldbPackets, SeveralBreakpointsInOnePacket) {
  EXPECT_THAT(bench.ask("qSupported"), HasSubstr("jMultiBreakpoint+"));
  EXPECT_EQ(bench.ask(R"(jMultiBreakpoint: {"breakpoint_requests": ["Z0,2000,1", "Z0,2010,9",)"
                      R"("Z0,2001,1","z0,2000,1","p0"]})"),
            R"({"results":["OK","E16","OK","OK","E2d"]})");
  EXPECT_EQ(bench.server.breakpoints().empty(), false);
  EXPECT_EQ(bench.ask(R"(jMultiBreakpoint:{"breakpoint_requests":["z0,2001,1"]})"),
            R"({"results":["OK"]})");
  EXPECT_EQ(bench.server.breakpoints().empty(), true);
  EXPECT_EQ(bench.ask(R"(jMultiBreakpoint:{"breakpoint_requests":[]})"), R"({"results":[]})");
}

}  // namespace
}  // namespace ringside::debug
