// Tracepoints: what is defined, what is recorded while nobody stops, and frames that answer instead
// of the machine.
#include <gmock/gmock.h>

#include "debug/server/server.h"
#include "debug/testing/fixture.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
using testing::Client;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::ToyGuest;
namespace opcode = testing::opcode;

// inc rax at 0x1000, nop, nop, and round again.
class Tracepoints : public ::testing::Test {
 protected:
  explicit Tracepoints(unsigned vcpus = 1) : bench(vcpus, with_clock()) {
    bench.guest.write(0x1000, {opcode::kIncRax, opcode::kNop, opcode::kNop, opcode::kJump, 0xfb});
    bench.attach();
    bench.ask("qSupported:error-message+");
    bench.ask("vCont?");
    bench.ask("qXfer:features:read:target.xml:0,1");
  }
  std::string ask(std::string_view packet) { return bench.ask(packet); }
  void expect_ok(std::initializer_list<const char*> packets) {
    for (const char* packet : packets)
      EXPECT_EQ(ask(packet), "OK") << packet;
  }
  // Lets it run for so many instructions, and stops it.
  void run(unsigned rounds) {
    bench.client.send("vCont;c");
    bench.run(rounds);
    bench.client.interrupt();
    EXPECT_THAT(bench.client.receive(), StartsWith("T02"));
  }
  std::string status() { return ask("qTStatus"); }
  // Of the selected frame.
  std::string rax() { return ask("p0"); }

  // A clock that the test moves.
  ServerOptions with_clock() {
    ServerOptions options;
    options.clock = [this] { return now_ += std::chrono::seconds(1); };
    return options;
  }

  std::chrono::steady_clock::time_point now_{};
  Bench bench;
  ToyGuest& guest = bench.guest;
};

class TracepointsOfTwo : public Tracepoints {
 protected:
  TracepointsOfTwo() : Tracepoints(2) {}
};

TEST_F(Tracepoints, RecordAndStopNobody) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:R1M-1,1000,4", "QTStart"});
  EXPECT_THAT(status(), StartsWith("T1;tframes:0;tcreated:0;"));
  run(60);
  EXPECT_GT(guest.rax(0), 3u);
  EXPECT_THAT(ask("qTP:1:1000"), StartsWith("V"));
  expect_ok({"QTStop"});
  EXPECT_THAT(status(), HasSubstr("T0;tstop::0;"));
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(ask("QTFrame:" + std::to_string(i)), "F" + std::to_string(i) + "T1");
    EXPECT_EQ(rax(), "0" + std::to_string(i) + "00000000000000");
    EXPECT_EQ(ask("p10"), "0010000000000000");
    EXPECT_EQ(ask("m1000,4"), "409090eb");
    EXPECT_EQ(ask("m1002,10"), "90eb");
    EXPECT_THAT(ask("m2000,1"), StartsWith("E."));
  }
  EXPECT_EQ(ask("QTFrame:ffffffff"), "OK");
  EXPECT_NE(ask("m2000,1"), "E.");
}

TEST_F(Tracepoints, FramesAreFoundByWhatTheyAre) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:R1", "QTDP:2:1001:E:0:0-",
             "QTDP:-2:1001:R1", "QTStart"});
  run(60);
  EXPECT_EQ(ask("QTFrame:tdp:2"), "F1T2");
  EXPECT_EQ(ask("QTFrame:tdp:2"), "F3T2");
  EXPECT_EQ(ask("QTFrame:pc:1000"), "F4T1");
  EXPECT_EQ(ask("QTFrame:outside:1001:2000"), "F6T1");
  EXPECT_EQ(ask("QTFrame:range:1000:1001"), "F7T2");
  EXPECT_EQ(ask("QTFrame:range:2000:3000"), "F-1");
  EXPECT_EQ(ask("p10"), "0110000000000000");  // where it was
  EXPECT_EQ(ask("QTFrame:fffff"), "F-1");
}

TEST_F(Tracepoints, ASelectedFrameIsReadOnlyAndEndsWithAResume) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:R1", "QTStart"});
  run(20);
  const std::uint64_t now = guest.rax(0);
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  for (const char* packet : {"P0=0500000000000000", "M1000,1:90", "X1000,1:a"})
    EXPECT_THAT(ask(packet), HasSubstr("frame")) << packet;
  EXPECT_THAT(ask("qCRC:1000,4"), StartsWith("E."));
  EXPECT_EQ(guest.rax(0), now);
  bench.client.send("vCont;s:1");
  bench.run(3);
  EXPECT_THAT(bench.client.receive(), StartsWith("T05"));
  EXPECT_EQ(ask("P0=0500000000000000"), "OK");
}

TEST_F(Tracepoints, WhatWasNotCollectedIsNotAvailable) {
  expect_ok({"QTinit", "QTro:3000,4000", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:M0,1000,8-",
             "QTDP:-1:1000:M-1,ffff0000,8", "QTStart"});
  guest.vm.memory().poke(Gpa{0x3000}, std::uint8_t{0x77});
  run(20);
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  EXPECT_EQ(rax(), "xxxxxxxxxxxxxxxx");
  EXPECT_EQ(ask("p10"), "0010000000000000");  // the tracepoint's place
  EXPECT_THAT(ask("g"), HasSubstr("xxxxxxxx0010000000000000xxxx"));
  EXPECT_EQ(ask("m3000,1"), "77");  // does not change: from the machine
  EXPECT_THAT(ask("qXfer:traceframe-info:read::0,1000"),
              HasSubstr("<memory start=\"0x1000\" length=\"0x8\"/>"));
  EXPECT_THAT(status(), StartsWith("T1"));  // memory that is not there ends no trace
}

TEST_F(Tracepoints, ConditionsPassesAndVariables) {
  // 1 < rax: const8 1, reg 0, less_unsigned, end. Then hits = 1 + hits: const8 1, getv 1, add, setv
  // 1, end; and tracev 1, end.
  expect_ok({"QTinit", "QTDV:1:a:0:68697473", "QTDP:1:1000:E:0:3:X7,22012600001527-",
             "QTDP:-1:1000:R1-", "QTDP:-1:1000:Xa,22012c0001022d000127-",
             "QTDP:-1:1000:X4,2e000127", "QTStart"});
  run(100);
  EXPECT_THAT(status(), HasSubstr("T0;tpasscount:1;tframes:3;tcreated:3;"));
  EXPECT_EQ(ask("qTV:1"), "Vd");
  EXPECT_EQ(ask("qTV:2"), "U");
  EXPECT_EQ(ask("QTFrame:1"), "F1T1");
  EXPECT_EQ(rax(), "0300000000000000");
  EXPECT_EQ(ask("qTV:1"), "Vc");
  EXPECT_EQ(ask("qTV:2"), "U");
  // The next resume takes out what is of no use any more.
  bench.client.send("vCont;c");
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
}

// In non-stop mode too, where a vCPU is resumed while another one runs. A step alone brings nobody
// out, and so leaves guest memory as it is.
TEST_F(TracepointsOfTwo, WhatIsOfNoUseGoesWithTheNextResumeOfOneThread) {
  expect_ok({"QNonStop:1", "QTinit", "QTDP:1:1000:E:0:1-", "QTDP:-1:1000:R1", "QTStart"});
  guest.vm.vcpu({0}).cpu.rip = 0x1001;
  guest.vm.vcpu({1}).cpu.rip = 0x3000;
  EXPECT_EQ(ask("vCont;c"), "OK");
  EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
  bench.run(20);
  EXPECT_THAT(status(), StartsWith("T0;tpasscount:1;tframes:1;"));
  EXPECT_EQ(ask("vCont;t:1"), "OK");
  EXPECT_THAT(bench.client.notified(), StartsWith("Stop:T00thread:01;"));
  EXPECT_EQ(ask("vStopped"), "OK");
  EXPECT_EQ(ask("vCont;s:1"), "OK");
  bench.run();
  EXPECT_THAT(bench.client.notified(), StartsWith("Stop:T05thread:01;"));
  EXPECT_EQ(ask("vStopped"), "OK");
  EXPECT_EQ(guest.byte(0x1000), opcode::kInt3);
  EXPECT_EQ(ask("vCont;c:1"), "OK");
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
}

TEST_F(Tracepoints, AFullBufferEndsTheTraceUnlessItIsARing) {
  expect_ok(
      {"QTinit", "QTBuffer:size:64", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:M0,1000,8", "QTStart"});
  run(100);
  EXPECT_THAT(status(), HasSubstr("T0;tfull:0;tframes:4;tcreated:4;"));
  expect_ok({"QTBuffer:circular:1", "QTStart"});
  run(100);
  EXPECT_THAT(status(), StartsWith("T1;tframes:4;tcreated:"));
  EXPECT_THAT(ask("QTBuffer:size:10000001"), StartsWith("E."));
  EXPECT_THAT(ask("QTBuffer:circular:0"), HasSubstr("running"));
}

TEST_F(Tracepoints, StepsAreRecordedAndRunControlKnowsNothing) {
  expect_ok(
      {"QTinit", "QTDP:1:1000:E:2:0-", "QTDP:-1:1000:M0,1000,1-", "QTDP:-1:1000:SR1", "QTStart"});
  run(60);
  expect_ok({"QTStop"});
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::MonitorTrap));
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  EXPECT_EQ(rax(), "xxxxxxxxxxxxxxxx");
  for (const char* pc : {"01", "02"}) {
    EXPECT_THAT(ask("QTFrame:tdp:1"), StartsWith("F"));
    EXPECT_EQ(ask("p10"), pc + std::string("10000000000000"));
  }
  EXPECT_EQ(ask("QTFrame:tdp:1"), "F3T1");
  EXPECT_EQ(ask("p10"), "xxxxxxxxxxxxxxxx");
}

// The client's breakpoint is among the steps: it is hit, and the steps go on after it.
TEST_F(Tracepoints, StepsDoNotPassABreakpoint) {
  expect_ok({"QTinit", "QTDP:1:1000:E:3:1-", "QTDP:-1:1000:SR1", "Z0,1002,1", "QTStart"});
  bench.client.send("vCont;c");
  bench.run(40);
  EXPECT_EQ(bench.client.receive().substr(0, 3), "T05");
  EXPECT_EQ(guest.rip(0), 0x1002u);
  EXPECT_THAT(status(), StartsWith("T1;tframes:3;"));
  bench.client.send("vCont;c");
  bench.run(40);
  EXPECT_EQ(guest.rip(0), 0x1002u);
  EXPECT_EQ(bench.client.receive().substr(0, 3), "T05");
  EXPECT_THAT(status(), StartsWith("T0;tpasscount:1;tframes:4;"));
}

TEST_F(Tracepoints, ABreakpointAtTheSamePlaceIsAnotherThing) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:R1", "QTStart", "Z0,1000,1"});
  for (unsigned i = 0; i < 3; ++i) {
    bench.client.send("vCont;c");
    bench.run(40);
    EXPECT_EQ(bench.client.receive().substr(0, 3), "T05") << i;
    EXPECT_EQ(guest.rax(0), i);
  }
  EXPECT_EQ(ask("z0,1000,1"), "OK");
  run(40);
  const std::uint64_t now = guest.rax(0);
  EXPECT_GT(now, 5u);
  expect_ok({"Z0,1000,1", "QTStop"});
  bench.client.send("vCont;c");
  bench.run(40);
  EXPECT_EQ(bench.client.receive().substr(0, 3), "T05");
  EXPECT_EQ(ask("z0,1000,1"), "OK");
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
}

TEST_F(Tracepoints, AnErrorEndsTheTraceAndSaysWhy) {
  // ref8 of an address without memory.
  expect_ok({"QTinit", "QTDP:7:1000:E:0:0-", "QTDP:-7:1000:X7,24ffff00001727", "QTStart"});
  run(20);
  const std::string text = rsp::reply::hex("action: ");
  EXPECT_THAT(status(), StartsWith("T0;terror:" + text));
  EXPECT_THAT(status(), HasSubstr(":7;tframes:0;"));
}

TEST_F(Tracepoints, AreDisabledAndEnabledWhileTheyRun) {
  expect_ok({"QTinit", "QTDP:1:1000:D:0:0-", "QTDP:-1:1000:R1", "QTStart"});
  run(30);
  EXPECT_THAT(status(), StartsWith("T1;tframes:0;"));
  expect_ok({"QTEnable:1:1000"});
  run(10);
  EXPECT_THAT(ask("QTFrame:0"), StartsWith("F0"));
  expect_ok({"QTDisable:1:1000"});
  EXPECT_THAT(ask("QTEnable:1:1001"), HasSubstr("no such tracepoint"));
}

TEST_F(Tracepoints, GoWithTheirClient) {
  expect_ok({"QTinit", "QTDV:1:0:0:61", "QTDP:1:1000:E:2:0-", "QTDP:-1:1000:SR1", "QTStart"});
  run(20);
  bench.client.send("vCont;c");
  bench.run(2);
  bench.client.disconnect();
  bench.run(10);
  EXPECT_EQ(guest.byte(0x1000), opcode::kIncRax);
  EXPECT_FALSE(guest.vm.vcpu({0}).has(Capability::MonitorTrap));
  bench.client.connect();
  EXPECT_THAT(status(), StartsWith("T0;tnotrun:0;tframes:0;"));
  EXPECT_EQ(ask("qTfP"), "l");
  EXPECT_EQ(ask("qTfV"), "l");
  EXPECT_EQ(ask("QTDisconnected:1"), "E2d");  // int3s need somebody who steps over them
}

TEST_F(Tracepoints, AreToldAsTheyWereDefined) {
  expect_ok({"QTinit", "QTDV:1:fffffffffffffffe:0:68697473", "QTDP:1:1000:D:2:5:F5:X3,220127-",
             "QTDP:-1:1000:M6,fffffffffffffff8,4X3,220127-", "QTDP:-1:1000:SR3",
             "QTDPsrc:1:1000:cmd:0:9:636f6c6c65637420", "QTNotes:user:6d65"});
  EXPECT_EQ(ask("qTfP"), "T1:1000:D:2:5:F5:X3,220127");
  EXPECT_EQ(ask("qTsP"), "A1:1000:M6,fffffffffffffff8,4");
  EXPECT_EQ(ask("qTsP"), "A1:1000:X3,220127");
  EXPECT_EQ(ask("qTsP"), "S1:1000:Rffffffffffffffff");
  EXPECT_EQ(ask("qTsP"), "Z1:1000:cmd:0:9:636f6c6c65637420");
  EXPECT_EQ(ask("qTsP"), "l");
  EXPECT_EQ(ask("qTfV"), "1:fffffffffffffffe:0:68697473");
  EXPECT_EQ(ask("qTsV"), "l");
  EXPECT_THAT(status(), HasSubstr(";username:6d65"));
}

TEST_F(Tracepoints, TheBufferIsReadAsAFileHasIt) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:1-", "QTDP:-1:1000:M0,1000,2", "QTStart"});
  run(20);
  EXPECT_EQ(ask("qTBuffer:0,100"), "01000d0000004d001000000000000002004090");
  EXPECT_EQ(ask("qTBuffer:2,2"), "0d00");
  EXPECT_EQ(ask("qTBuffer:13,10"), "l");
  EXPECT_THAT(ask("QTSave:66696c65"), StartsWith("E."));  // nobody makes files here
}

TEST_F(Tracepoints, WhatIsTooMuchIsRefused) {
  expect_ok({"QTinit"});
  EXPECT_THAT(ask("QTStart"), HasSubstr("no tracepoints"));
  EXPECT_THAT(ask("QTDP:0:1000:E:0:0"), StartsWith("E."));
  EXPECT_THAT(ask("QTDP:10000:1000:E:0:0"), StartsWith("E."));
  EXPECT_THAT(ask("QTDP:1:1000:E:ffffffff:0"), StartsWith("E."));
  EXPECT_THAT(ask("QTDP:1:1000:E:0:0:S"), HasSubstr("static"));
  EXPECT_THAT(ask("QTDP:-1:1000:R1"), StartsWith("E."));
  EXPECT_THAT(ask("QTDPsrc:1:1000:cmd:0:1:61"), StartsWith("E."));
  unsigned taken = 0;
  while (ask("QTDP:1:" + rsp::reply::hex(std::string(1, static_cast<char>(taken >> 8))) +
             rsp::reply::hex(std::string(1, static_cast<char>(taken))) + ":E:0:0") == "OK")
    ++taken;
  EXPECT_EQ(taken, trace::Tracing::kMostTracepoints);
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0"});
  const std::string long_one = "QTDP:-1:1000:Xa000," + std::string(0x14000, '2');
  unsigned pieces = 0;
  while (ask(long_one) == "OK")
    ++pieces;
  EXPECT_LT(pieces, 110u);
  EXPECT_GT(pieces, 90u);
}

TEST_F(Tracepoints, AFrameStaysWhereNobodyIsResumed) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:R1", "QTStart"});
  run(60);
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  const std::string recorded = ask("g");
  ask("vCont;t");
  EXPECT_EQ(ask("g"), recorded);
  run(1);
  EXPECT_NE(ask("g"), recorded);
}

TEST_F(TracepointsOfTwo, WhoLooksHasFramesOfItsOwn) {
  expect_ok({"QTinit", "QTDP:1:1000:E:0:0-", "QTDP:-1:1000:R1", "QTStart"});
  run(60);
  Client other(bench.server);
  other.connect_to_look();
  EXPECT_THAT(other.ask("qTStatus"), StartsWith("T1;"));
  EXPECT_EQ(other.ask("qTfP"), "T1:1000:E:0:0");
  EXPECT_EQ(other.ask("QTFrame:1"), "F1T1");
  EXPECT_EQ(ask("QTFrame:0"), "F0T1");
  EXPECT_EQ(other.ask("QTFrame:tdp:1"), "F2T1");
  for (const char* packet : {"QTStop", "QTStart", "QTinit", "QTDP:2:1000:E:0:0", "QTSave:61",
                             "QTBuffer:circular:1", "QTDisable:1:1000", "QTDisconnected:1"})
    EXPECT_THAT(other.ask(packet), StartsWith("E")) << packet;
  other.disconnect();
  EXPECT_THAT(status(), StartsWith("T1;"));
}

}  // namespace
}  // namespace ringside::debug
