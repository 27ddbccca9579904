// A client that does anything at any time, on vCPUs that stop when they like. Nothing must crash,
// block or grow, and when the client has gone the machine must be as
// if it had never been there.
#include <random>

#include "debug/server/server.h"
#include "debug/testing/fake_stoppoints.h"
#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::Bench;
namespace opcode = testing::opcode;

constexpr unsigned kVcpus = 3;
constexpr std::uint64_t kCode = 0x1000;
constexpr std::size_t kCodeSize = 16;

const char* const kPackets[] = {"?",
                                "g",
                                "p10",
                                "P0=0102030405060708",
                                "P10=0010000000000000",
                                "Hg1",
                                "Hg2",
                                "Hc3",
                                "Hg0",
                                "T2",
                                "m1000,10",
                                "m1008,ffff",
                                "x1000,10",
                                "M2000,2:abcd",
                                "X2000,1:x",
                                "c",
                                "c",
                                "s",
                                "s",
                                "C05",
                                "vCont?",
                                "vCont;c",
                                "vCont;c",
                                "vCont;s:1",
                                "vCont;s:2;c",
                                "vCont;r1000,100c:1;c",
                                "vCont;s",
                                "vCont;t:1;c",
                                "vCtrlC",
                                "vCont;t",
                                "vCont;t:2",
                                "vCont;c:2;s:1",
                                "vStopped",
                                "vStopped",
                                "Z0,1000,1",
                                "Z0,1001,1",
                                "Z0,1004,1",
                                "Z0,1004,1",
                                "z0,1000,1",
                                "z0,1001,1",
                                "z0,1004,1",
                                "Z0,90000,1",
                                "Z2,2000,4",
                                "QListThreadsInStopReply",
                                "QEnableErrorStrings",
                                "g;thread:2;",
                                "P10=0010000000000000;thread:2;",
                                "QSaveRegisterState;thread:1;",
                                "QRestoreRegisterState:1;thread:1;",
                                "qThreadStopInfo2",
                                "jThreadsInfo",
                                "MultiMemRead:ranges:1000,10,0,ffffffff;",
                                R"(jMultiBreakpoint:{"breakpoint_requests":["Z0,1002,1"]})",
                                "qC",
                                "qfThreadInfo",
                                "qsThreadInfo",
                                "qThreadExtraInfo,2",
                                "qSupported:swbreak+;multiprocess+",
                                "qSupported",
                                "qXfer:features:read:target.xml:0,fff",
                                "qXfer:threads:read::0,fff",
                                "QStartNoAckMode",
                                "QNonStop:1",
                                "QNonStop:0",
                                "qSearch:memory:1000;100;ab",
                                "qCRC:1000,10",
                                "qRcmd,68656c70",
                                "qRcmd,7663707573",
                                "QTinit",
                                "QTDP:1:1000:E:0:0-",
                                "QTDP:1:1001:E:3:0-",
                                "QTDP:2:1004:E:2:5-",
                                "QTDP:2:90000:E:0:0",
                                "QTDP:-1:1000:R1",
                                "QTDP:-1:1001:R1-",
                                "QTDP:-1:1001:SM0,1000,4",
                                "QTDP:-2:1004:X4,2e000127",
                                "QTDV:1:0:0:61",
                                "QTDisable:1:1000",
                                "QTEnable:1:1000",
                                "QTBuffer:circular:1",
                                "QTBuffer:size:300",
                                "QTDisconnected:1",
                                "QTStart",
                                "QTStart",
                                "QTStart",
                                "QTStop",
                                "qTStatus",
                                "QTFrame:0",
                                "QTFrame:pc:1004",
                                "QTFrame:ffffffff",
                                "qTfP",
                                "qTsP",
                                "qTBuffer:0,40",
                                "Qqemu.PhyMemMode:1",
                                "Qqemu.PhyMemMode:0",
                                "Qqemu.sstep=1",
                                "qqemu.sstep",
                                "vMustReplyEmpty",
                                "G00",
                                "m",
                                "Z0",
                                "vCont;",
                                "D;7777777777777777777",
                                "qXfer:features:read:target.xml:9"};

class Chaos {
 public:
  // Of three clients one begins in non-stop mode, and any may change its mind.
  explicit Chaos(unsigned seed) : random_(seed), bench_(kVcpus) {
    // A loop of instructions of one and two bytes.
    bench_.guest.write(
        kCode, {opcode::kIncRax, opcode::kIncRax, opcode::kNop, opcode::kIncRax, opcode::kIncRax,
                opcode::kNop, opcode::kRep, opcode::kNop, opcode::kIncRax, opcode::kIncRax,
                opcode::kNop, opcode::kNop, opcode::kJump, 0xf2});
    bench_.guest.write(testing::ToyGuest::kHandler, {opcode::kJump, 0xfe});
    for (std::size_t i = 0; i < kCodeSize; ++i)
      code_.push_back(bench_.guest.byte(kCode + i));
    bench_.guest.vm.sleep({2});
    if (seed % 2 == 1) {
      engine_.to_lend = 2;
      engine_.give_to(bench_.guest.vm);
    }
    bench_.server.start();
  }

  void act() {
    ToyGuestPark park(*this);
    switch (pick(13)) {
      case 0:
        if (connected_) {
          leave();
        } else {
          bench_.client.connect();
          connected_ = true;
          if (pick(3) == 0) bench_.client.send("QNonStop:1");
        }
        break;
      case 1:
        if (connected_) bench_.client.interrupt();
        break;
      case 2:
        if (connected_) garbage();
        break;
      case 3:
        bench_.guest.vm.lazy = pick(2) == 0;
        break;
      case 4:
        if (bench_.guest.vm.vcpu({2}).active()) {
          bench_.guest.vm.sleep({2});
        } else {
          bench_.guest.vm.start({2});
          bench_.guest.vm.vcpu({2}).cpu.rip = kCode;
        }
        break;
      case 5:
        ++asked_;
        bench_.server.while_out([this] { be_asked(); });
        break;
      case 6:
      case 7:
      case 8:
        bench_.guest.run(1 + pick(3));
        break;
      default:
        if (connected_) bench_.client.send(kPackets[pick(std::size(kPackets))]);
        break;
    }
    // Sometimes the server hears of things late.
    if (pick(3) != 0) bench_.server.drain_events();
    collect();
    if (connected_ && bench_.server.wants_close()) leave();
    if (pick(4) == 0) expect_rest();
  }

  // Where has_work() says that nothing is left to do, another call does nothing.
  void expect_rest() {
    bench_.server.drain_events();
    for (int i = 0; i < 1000 && bench_.server.has_work(); ++i)
      bench_.server.drain_events();
    EXPECT_FALSE(bench_.server.has_work());
    const std::string before = state();
    bench_.server.drain_events();
    EXPECT_EQ(state(), before);
    EXPECT_FALSE(bench_.server.has_work());
  }

  void leave() {
    bench_.client.disconnect();
    connected_ = false;
    for (int i = 0; i < 4 || (served_ < asked_ && i < 1000); ++i) {
      bench_.guest.vm.park_all();
      bench_.server.drain_events();
    }
    EXPECT_EQ(served_, asked_);
    for (unsigned i = 0; i < kVcpus; ++i) {
      auto& vcpu = bench_.guest.vm.vcpu({i});
      if (!vcpu.active()) continue;
      EXPECT_TRUE(vcpu.in_guest()) << i;
      EXPECT_FALSE(vcpu.has(Capability::MonitorTrap)) << i;
      EXPECT_FALSE(vcpu.has(Capability::MaskInterrupts)) << i;
      EXPECT_FALSE(vcpu.has(Capability::BreakpointExit)) << i;
    }
    for (std::size_t i = 0; i < kCodeSize; ++i)
      EXPECT_EQ(bench_.guest.byte(kCode + i), code_[i]) << i;
    EXPECT_TRUE(bench_.guest.frames.empty());
    EXPECT_TRUE(engine_.linear.empty());
  }

 private:
  // The owner's request, which is served whatever the client does.
  void be_asked() {
    ++served_;
    for (unsigned i = 0; i < kVcpus; ++i)
      EXPECT_FALSE(bench_.guest.vm.vcpu({i}).in_guest()) << i;
    if (pick(10) == 0) {
      EXPECT_NE(bench_.server.monitor("info cpus", {1}, "no"), "");
    }
  }

  // Lazy vCPUs park some time.
  struct ToyGuestPark {
    explicit ToyGuestPark(Chaos& chaos) {
      if (chaos.pick(3) == 0) chaos.bench_.guest.vm.park_all();
    }
  };
  std::size_t pick(std::size_t count) { return random_() % count; }

  std::string state() {
    std::string text = std::to_string(bench_.server.output().size());
    for (unsigned i = 0; i < kVcpus; ++i) {
      const auto& vcpu = bench_.guest.vm.vcpu({i});
      text += vcpu.in_guest() ? " in" : " out";
      text += " " + std::to_string(vcpu.resumes);
    }
    return text + (bench_.server.wants_input() ? " reads" : "");
  }

  void garbage() {
    std::string bytes;
    for (std::size_t i = pick(20); i > 0; --i)
      bytes += "$#*}+-0123abcdefgmZzHpvs,;:\x03"[pick(28)];
    bench_.client.send_raw(bytes);
  }

  void collect() {
    std::string reply;
    while ((reply = bench_.client.receive()) != "(nothing)") {
      EXPECT_LT(reply.size(), 3u * rsp::kPacketSize);
    }
  }

  std::mt19937 random_;
  testing::FakeStoppoints engine_;
  Bench bench_;
  std::vector<std::uint8_t> code_;
  bool connected_ = false;
  unsigned asked_ = 0, served_ = 0;
};

TEST(Server, AnythingAtAnyTime) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Chaos chaos(seed);
    for (int i = 0; i < 400; ++i)
      chaos.act();
    chaos.leave();
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace ringside::debug
