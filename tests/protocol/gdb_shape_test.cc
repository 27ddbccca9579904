// One conversation in the order and with the packets of stock GDB, on either engine: attach, hold,
// breakpoints of every kind, watchpoints, steps, an interrupt, detach.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class GdbShape : public Protocol {
 protected:
  void SetUp() override {
    Protocol::SetUp();
    if (IsSkipped()) return;
    guest_.emplace("counters", GuestOptions{.cpus = 2});
    gdb_.emplace(guest_->connect());
    greet();
  }

  // What GDB 13 says before its user can.
  void greet() {
    EXPECT_THAT(ask("qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+;fork-events+;"
                    "vfork-events+;exec-events+;vContSupported+;QThreadEvents+;no-resumed+;"
                    "memory-tagging+;xmlRegisters=i386"),
                HasSubstr("vContSupported+"));
    EXPECT_EQ(ask("vMustReplyEmpty"), "");
    EXPECT_EQ(ask("QStartNoAckMode"), "OK");
    gdb_->set_acks(Acks::None);
    EXPECT_EQ(ask("Hgp0.0"), "OK");
    EXPECT_THAT(ask("qXfer:features:read:target.xml:0,ffb"), HasSubstr("i386:x86-64"));
    EXPECT_THAT(ask("qTStatus"), StartsWith("T0;tnotrun:0;"));
    EXPECT_EQ(ask("qTfP"), "l");
    EXPECT_EQ(ask("qTfV"), "l");
    EXPECT_THAT(ask("?"), StartsWith("T05thread:p01.01;"));
    EXPECT_THAT(ask("qXfer:threads:read::0,1000"), HasSubstr("id=\"p01.01\""));
    EXPECT_EQ(ask("qAttached:1"), "1");
    EXPECT_EQ(ask("Hc-1"), "OK");
    EXPECT_THAT(ask("vCont?"), HasSubstr("s;"));
  }

  std::string ask(const std::string& packet) { return gdb_->request(packet); }
  std::string at(const char* symbol) { return hex_number((*guest_)[symbol]); }
  std::uint64_t count() { return gdb_->read_u64((*guest_)["counters"]); }
  std::uint64_t rip() {
    const std::string bytes = unhex(ask("p10"));
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
  }
  // As GDB steps a thread off its breakpoint: taken out, stepped alone, put in.
  void step_off(const std::string& kind, const char* symbol) {
    const std::string place = at(symbol) + ",1";
    EXPECT_EQ(ask("z" + kind + "," + place), "OK");
    const std::uint64_t before = rip();
    EXPECT_THAT(ask("vCont;s:p1.1"), StartsWith("T05thread:p01.01;"));
    EXPECT_NE(rip(), before);
    EXPECT_EQ(ask("Z" + kind + "," + place), "OK");
  }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> gdb_;
};

TEST_F(GdbShape, BreakpointsStepsAndAnInterrupt) {
  EXPECT_EQ(ask("Z0," + at("tick") + ",1"), "OK");
  for (std::uint64_t i = 0; i < 3; ++i) {
    const StopReply stop = parse_stop(ask("vCont;c:p1.-1"));
    EXPECT_TRUE(stop.swbreak) << stop.text;
    EXPECT_EQ(ask("Hg" + stop.field("thread").value()), "OK");
    EXPECT_EQ(rip(), (*guest_)["tick"]);
    // GDB reads what it will show, and sees no byte of ours.
    EXPECT_NE(ask("m" + at("tick") + ",1"), "cc");
    if (stop.vcpu == 0u) step_off("0", "tick");
  }
  EXPECT_EQ(ask("z0," + at("tick") + ",1"), "OK");
  gdb_->send("vCont;c");
  EXPECT_TRUE(gdb_->silent_for(kQuiet));
  gdb_->interrupt();
  EXPECT_THAT(gdb_->receive(), StartsWith("T02"));
  const std::uint64_t before = count();
  EXPECT_EQ(ask("D;1"), "OK");
  gdb_->close();
  await_change(*guest_, (*guest_)["counters"], before);
}

TEST_F(GdbShape, HardwareBreakpointsAndWatchpoints) {
  NEEDS(Feature::Watchpoints);
  const std::string counter = at("counters") + ",8";
  EXPECT_EQ(ask("Z1," + at("entry_of_loop") + ",1"), "OK");
  EXPECT_EQ(ask("Z2," + counter), "OK");
  EXPECT_THAT(parse_stop(ask("vCont;c")).text, HasSubstr("hwbreak"));
  EXPECT_EQ(ask("z1," + at("entry_of_loop") + ",1"), "OK");
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t before = count();
    const StopReply stop = parse_stop(ask("vCont;c"));
    EXPECT_EQ(stop.field("watch"), at("counters")) << stop.text;
    EXPECT_EQ(count(), before + 1);
    EXPECT_THAT(ask("vCont;s:p1.1"), StartsWith("T05thread:p01.01;"));
  }
  EXPECT_EQ(ask("z2," + counter), "OK");
  EXPECT_EQ(ask("Z4," + counter), "OK");
  const StopReply stop = parse_stop(ask("vCont;c"));
  EXPECT_EQ(stop.field("awatch"), at("counters")) << stop.text;
  EXPECT_EQ(ask("z4," + counter), "OK");
  const std::uint64_t before = count();
  EXPECT_EQ(ask("D;1"), "OK");
  gdb_->close();
  await_change(*guest_, (*guest_)["counters"], before);
}

}  // namespace
}  // namespace ringside::testing
