// Tracepoints, packet by packet, on either engine.
#include <gmock/gmock.h>

#include <array>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <vector>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Trace : public Protocol {
 protected:
  void begin(unsigned cpus) {
    guest_.emplace("counters", GuestOptions{.cpus = cpus, .start = Start::Running});
    guest_->await_said_numbers(cpus);
    client_.emplace(guest_->attach());
    greet(*client_);
  }
  static void greet(DebugClient& client) {
    features_ = client.request("qSupported:swbreak+");
    client.request("vCont?");
    client.request("qXfer:features:read:target.xml:0,fff");
  }
  static void expect_ok(DebugClient& client, const std::vector<std::string>& packets) {
    for (const std::string& packet : packets)
      EXPECT_EQ(client.request(packet), "OK") << packet;
  }
  std::string ask(const std::string& packet) { return client_->request(packet); }
  std::string at(const char* symbol) const { return hex_number((*guest_)[symbol]); }
  std::uint64_t field(const std::string& status, const std::string& name) {
    const std::size_t found = status.find(name + ":");
    EXPECT_NE(found, std::string::npos) << status;
    return std::stoull(status.substr(found + name.size() + 1), nullptr, 16);
  }
  // Lets it run until a query says so.
  void run_until(const std::function<bool(const std::string& status)>& enough) {
    client_->send("vCont;c");
    const Deadline deadline;
    while (!enough(ask("qTStatus")))
      ASSERT_FALSE(deadline.passed());
    client_->interrupt();
    EXPECT_THAT(client_->receive(), StartsWith("T02"));
  }
  // In non-stop mode: the vCPUs that the client has stopped.
  std::vector<unsigned> stopped() {
    std::vector<unsigned> vcpus;
    for (std::string reply = ask("?"); reply != "OK"; reply = ask("vStopped"))
      vcpus.push_back(parse_stop(reply).vcpu.value_or(~0u));
    return vcpus;
  }
  // Of the selected frame.
  std::uint64_t number(const std::string& digits) {
    const std::string bytes = unhex(digits);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
  }

  static inline std::string features_;
  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

// What is recorded is what the guest has done: no hit is lost and none is recorded twice, with 2
// vCPUs that come by all the time.
TEST_F(Trace, EveryHitIsRecordedOnce) {
  begin(2);
  const std::string tick = at("tick");
  expect_ok(*client_,
            {"QTinit", "QTDV:1:0:0:68697473", "QTDP:1:" + tick + ":E:0:c8-",
             "QTDP:-1:" + tick + ":R1-", "QTDP:-1:" + tick + ":M-1," + at("counters") + ",10-",
             "QTDP:-1:" + tick + ":Xa,22012c0001022d000127-", "QTDP:-1:" + tick + ":X4,2e000127",
             "QTStart"});
  run_until([&](const std::string& status) { return status.starts_with("T0"); });
  EXPECT_THAT(ask("qTStatus"), StartsWith("T0;tpasscount:1;tframes:c8;"));
  const std::uint64_t frames = 200;
  EXPECT_EQ(ask("qTV:1"), "V" + hex_number(frames));
  EXPECT_THAT(ask("qTP:1:" + tick), StartsWith("V" + hex_number(frames) + ":"));
  std::array<std::uint64_t, 2> seen{};
  for (std::uint64_t i = 0; i < frames; ++i) {
    ASSERT_EQ(ask("QTFrame:" + hex_number(i)), "F" + hex_number(i) + "T1");
    EXPECT_EQ(number(ask("p10")), (*guest_)["tick"]);
    EXPECT_EQ(ask("qTV:1"), "V" + hex_number(i + 1));
    // Whose counter it is; on this vCPU each frame is one tick after the last one.
    const std::uint64_t vcpu = number(ask("p5"));
    ASSERT_LT(vcpu, 2u);
    const std::uint64_t count =
        number(ask("m" + hex_number((*guest_)["counters"] + 8 * vcpu) + ",8"));
    if (seen[vcpu] != 0) {
      EXPECT_EQ(count, seen[vcpu] + 1);
    }
    seen[vcpu] = count;
  }
  EXPECT_EQ(ask("QTFrame:ffffffff"), "OK");
  EXPECT_GE(client_->read_u64((*guest_)["counters"]), seen[0]);
}

// In non-stop mode a trace is begun while three vCPUs run and one stands: that one comes by
// nowhere, and the others are not stopped by what is recorded of them.
TEST_F(Trace, InNonStopModeWhoRunsIsRecorded) {
  begin(4);
  const std::string tick = at("tick");
  // A notification may come before an acknowledgement.
  expect_ok(*client_, {"QStartNoAckMode"});
  client_->set_acks(Acks::None);
  expect_ok(*client_, {"QNonStop:1"});
  EXPECT_EQ(stopped(), std::vector<unsigned>{0});
  const auto trace = [&](unsigned passes) {
    expect_ok(*client_, {"QTinit", "QTDP:1:" + tick + ":E:0:" + hex_number(passes) + "-",
                         "QTDP:-1:" + tick + ":R1-",
                         "QTDP:-1:" + tick + ":M-1," + at("counters") + ",20", "QTStart"});
    const Deadline deadline;
    while (!ask("qTStatus").starts_with("T0"))
      ASSERT_FALSE(deadline.passed());
    EXPECT_THAT(ask("qTStatus"), StartsWith("T0;tpasscount:1;tframes:" + hex_number(passes)));
  };
  // The last count of each vCPU that came by.
  const auto counts = [&](unsigned passes) {
    std::array<std::uint64_t, 4> seen{};
    for (std::uint64_t i = 0; i < passes; ++i) {
      EXPECT_EQ(ask("QTFrame:" + hex_number(i)), "F" + hex_number(i) + "T1");
      const std::uint64_t vcpu = number(ask("p5"));
      if (vcpu >= seen.size()) throw std::runtime_error("no vCPU has this number");
      const std::uint64_t count =
          number(ask("m" + hex_number((*guest_)["counters"] + 8 * vcpu) + ",8"));
      if (seen[vcpu] != 0) {
        EXPECT_EQ(count, seen[vcpu] + 1) << "vCPU " << vcpu;
      }
      seen[vcpu] = count;
    }
    expect_ok(*client_, {"QTFrame:ffffffff"});
    return seen;
  };
  trace(100);
  EXPECT_EQ(stopped(), std::vector<unsigned>{0});
  EXPECT_EQ(counts(100)[0], 0u);
  // Another vCPU in its place, and what is left of the last trace goes.
  expect_ok(*client_, {"vCont;c:1", "vCont;t:4"});
  const Deadline deadline;
  while (stopped() != std::vector<unsigned>{3})
    ASSERT_FALSE(deadline.passed());
  trace(50);
  EXPECT_EQ(counts(50)[3], 0u);
  EXPECT_EQ(stopped(), std::vector<unsigned>{3});
  expect_ok(*client_, {"vCont;c:4"});
  EXPECT_EQ(stopped(), std::vector<unsigned>{});
}

TEST_F(Trace, StepsAreRecordedAfterAHit) {
  begin(1);
  const std::string tick = at("tick");
  expect_ok(*client_,
            {"QTinit", "QTDP:1:" + tick + ":E:2:3-", "QTDP:-1:" + tick + ":SR1", "QTStart"});
  run_until([&](const std::string& status) { return status.starts_with("T0"); });
  EXPECT_THAT(ask("qTStatus"), StartsWith("T0;tpasscount:1;tframes:9;"));
  for (unsigned i = 0; i < 9; i += 3) {
    EXPECT_EQ(ask("QTFrame:" + hex_number(i + 1)), "F" + hex_number(i + 1) + "T1");
    EXPECT_EQ(number(ask("p10")), (*guest_)["tick_end"]);
    EXPECT_EQ(ask("QTFrame:" + hex_number(i + 2)), "F" + hex_number(i + 2) + "T1");
    EXPECT_EQ(number(ask("p10")), (*guest_)["entry_of_loop"] + 5);
  }
  ask("QTFrame:ffffffff");
  const StopReply stop = client_->step();
  EXPECT_EQ(stop.signal, 5) << stop.text;
}

// A breakpoint where the tracepoint is, and another among its steps, stop as ever.
TEST_F(Trace, BreakpointsStopAsEver) {
  begin(1);
  client_->run_to((*guest_)["entry_of_loop"]);
  const std::string tick = at("tick");
  expect_ok(*client_, {"QTinit", "QTDP:1:" + tick + ":E:3:0-", "QTDP:-1:" + tick + ":SR1",
                       "QTStart", "Z0," + tick + ",1", "Z0," + at("tick_end") + ",1"});
  for (unsigned i = 0; i < 6; ++i) {
    const StopReply stop = parse_stop(ask("vCont;c"));
    EXPECT_TRUE(stop.swbreak) << stop.text;
    EXPECT_EQ(client_->rip(), (*guest_)[i % 2 == 0 ? "tick" : "tick_end"]) << i;
  }
  expect_ok(*client_, {"z0," + tick + ",1", "z0," + at("tick_end") + ",1"});
  const std::uint64_t frames = field(ask("qTStatus"), "tframes");
  EXPECT_GE(frames, 9u);
  run_until([&](const std::string& status) { return field(status, "tframes") > frames + 20; });
  expect_ok(*client_, {"QTStop"});
  EXPECT_NE(ask("m" + tick + ",1"), "cc");
}

// A client that steps comes by tracepoints as one that runs: each arrival is a hit, by whichever
// kind of step it goes on.
TEST_F(Trace, StepsOfAClientHitThemToo) {
  begin(1);
  const std::string tick = at("tick");
  client_->run_to((*guest_)["entry_of_loop"]);
  expect_ok(*client_, {"QTinit", "QTDP:1:" + tick + ":E:0:0-", "QTDP:-1:" + tick + ":R1",
                       "QTDP:2:" + at("tick_end") + ":E:0:0-", "QTStart"});
  const auto frames = [&] { return field(ask("qTStatus"), "tframes"); };
  client_->step();
  EXPECT_EQ(client_->rip(), (*guest_)["tick"]);
  EXPECT_EQ(frames(), 0u);
  client_->step();
  EXPECT_EQ(frames(), 1u);
  const std::string range = at("tick_end") + "," + hex_number((*guest_)["tick_end"] + 1);
  EXPECT_THAT(ask("vCont;r" + range + ":1"), StartsWith("T05"));
  EXPECT_EQ(frames(), 2u);
  client_->run_to((*guest_)["entry_of_loop"]);
  EXPECT_THAT(ask("vCont;r" + at("entry_of_loop") + "," +
                  hex_number((*guest_)["entry_of_loop"] + 5) + ":1"),
              StartsWith("T05"));
  EXPECT_EQ(client_->rip(), (*guest_)["tick"]);
  // From a breakpoint in the same place, where it has been hit already.
  expect_ok(*client_, {"Z0," + tick + ",1"});
  EXPECT_THAT(ask("vCont;c"), StartsWith("T05"));
  EXPECT_EQ(frames(), 3u);
  expect_ok(*client_, {"z0," + tick + ",1"});
  client_->step();
  EXPECT_EQ(client_->rip(), (*guest_)["tick_end"]);
  EXPECT_EQ(frames(), 3u);
  client_->step();
  EXPECT_EQ(frames(), 4u);
}

TEST_F(Trace, ATraceGoesOnWithoutItsClient) {
  begin(1);
  if (features_.find("DisconnectedTracing+") == std::string::npos) {
    EXPECT_EQ(ask("QTDisconnected:1"), "E2d");
    GTEST_SKIP() << "this engine has no breakpoints of its own";
  }
  const std::string tick = at("tick");
  expect_ok(*client_, {"QTinit", "QTDisconnected:1", "QTDP:1:" + tick + ":E:0:fa0-",
                       "QTDP:-1:" + tick + ":R1", "QTStart"});
  client_->detach();
  client_->close();
  const Deadline deadline;
  for (bool over = false; !over;) {
    ASSERT_FALSE(deadline.passed());
    DebugClient later = guest_->attach();
    greet(later);
    const std::string status = later.request("qTStatus");
    EXPECT_THAT(status, HasSubstr("disconn:1"));
    over = status.find("tpasscount:1;tframes:fa0;") != std::string::npos;
    EXPECT_EQ(later.request("qTfP"), "T1:" + tick + ":E:0:fa0");
    if (over) {
      EXPECT_EQ(later.request("QTFrame:f9f"), "Ff9fT1");
      EXPECT_THAT(later.request("qTBuffer:0,10"), StartsWith("0100"));
      EXPECT_EQ(later.request("QTDisconnected:0"), "OK");
    }
    later.detach();
    later.close();
  }
  DebugClient last = guest_->attach();
  greet(last);
  EXPECT_THAT(last.request("qTStatus"), StartsWith("T0;tnotrun:0;tframes:0;"));
}

TEST_F(Trace, WhoLooksReadsFramesAndStartsNothing) {
  begin(1);
  const std::string tick = at("tick");
  expect_ok(*client_, {"QTinit", "QTBuffer:circular:1", "QTDP:1:" + tick + ":E:0:0-",
                       "QTDP:-1:" + tick + ":R1", "QTStart"});
  run_until([&](const std::string& status) { return field(status, "tframes") >= 10; });
  DebugClient other = guest_->attach();
  greet(other);
  EXPECT_THAT(other.request("qTStatus"), StartsWith("T1;"));
  EXPECT_EQ(other.request("QTFrame:3"), "F3T1");
  EXPECT_EQ(ask("QTFrame:5"), "F5T1");
  EXPECT_EQ(other.request("QTFrame:tdp:1"), "F4T1");
  for (const char* packet : {"QTinit", "QTStart", "QTStop", "QTSave:61"})
    EXPECT_THAT(other.request(packet), StartsWith("E")) << packet;
}

}  // namespace
}  // namespace ringside::testing
