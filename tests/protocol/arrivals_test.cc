// Where a breakpoint stands: at its linear address, before anything is fetched from there, in every
// address space, wherever it leads by then; and at the byte that the address leads to, through
// every alias. Raw packets to the real program, with a guest that goes where it is told.
#include <gmock/gmock.h>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// What tests/guests/arrivals.S does.
enum Job : std::uint8_t {
  Call = 1,
  CallInRing3,
  MapAndCall,
  CallInOtherSpace,
  GiveAwayAndCall,
  CallWithOwnBreakpoint,
};

class Arrivals : public Protocol {
 protected:
  void SetUp() override {
    Protocol::SetUp();
    if (IsSkipped()) return;
    SKIP_IF(lacks(Feature::ExecutionBreakpoints));
    guest_.emplace("arrivals");
    client_.emplace(guest_->attach());
    client_->request("vCont?");
    client_->send("vCont;c");
    guest_->await_said("r");
    client_->interrupt();
    client_->await_stop();
    window_ = (*guest_)["window"];
  }
  std::uint64_t word(const char* symbol) { return client_->read_u64((*guest_)[symbol]); }
  void set(const char* symbol, std::uint64_t value) {
    client_->write((*guest_)[symbol], little_endian(value, 8));
  }
  std::string monitor(const std::string& command) { return testing::monitor(*client_, command); }

  // A Z packet of this type, and its z.
  void insert(char type, std::uint64_t address) {
    ASSERT_EQ(client_->request(std::string("Z") + type + "," + hex_number(address) + ",1"), "OK");
  }
  void remove(char type, std::uint64_t address) {
    ASSERT_EQ(client_->request(std::string("z") + type + "," + hex_number(address) + ",1"), "OK");
  }
  // From the guest's loop on.
  void begin(Job job, std::uint64_t target) {
    set("target", target);
    set("event_count", 0);
    set("events", 0);
    set("job", job);
    client_->send("vCont;c");
  }
  // Expects the stop at a breakpoint, before anything has happened there.
  void arrive(std::uint64_t target) {
    const StopReply stop = await_stop();
    ASSERT_EQ(stop.signal, 5u) << stop.text;
    EXPECT_EQ(client_->rip(), target);
    EXPECT_EQ(word("event_count"), 0u);
  }
  // Lets the guest finish its job. Gives the exceptions that it has had since begin().
  std::string finish() {
    for (int i = 0; i < 10'000 && word("job") != 0; ++i) {
      client_->send("vCont;c");
      client_->interrupt();
      const StopReply stop = await_stop();
      EXPECT_EQ(stop.signal, 2u) << stop.text << " at " << std::hex << client_->rip();
      if (stop.signal != 2) break;
    }
    EXPECT_EQ(word("job"), 0u);
    return client_->read((*guest_)["events"], word("event_count"));
  }
  // The whole of it, without a stop at a breakpoint.
  std::string run(Job job, std::uint64_t target) {
    begin(job, target);
    client_->interrupt();
    EXPECT_EQ(await_stop().signal, 2u);
    return finish();
  }
  StopReply await_stop() {
    for (;;) {
      const std::string packet = client_->receive();
      if (packet.front() != 'O') return parse_stop(packet);
    }
  }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
  std::uint64_t window_ = 0;
};

struct Unfetchable {
  const char* why;
  Job job;
  std::uint64_t offset;
};
constexpr Unfetchable kUnfetchable[] = {
    {"not present", Call, 0},
    {"no-execute", Call, 0x1000},
    {"a reserved bit", Call, 0x4000},
    {"the supervisor's", CallInRing3, 0x5000},
};

// SDM vol. 3A, table 6-2: code breakpoints come before faults from fetching the instruction.
TEST_F(Arrivals, Row32_ABreakpointComesBeforeTheFaultOfItsFetch) {
  for (const Unfetchable& page : kUnfetchable) {
    // Ring 3 is beyond a KVM that interprets ring 0.
    if (page.job == CallInRing3 && !lacks(Feature::EveryInstruction).empty()) continue;
    const std::uint64_t target = window_ + page.offset;
    for (const char type : {'0', '1'}) {
      SCOPED_TRACE(std::string(page.why) + ", Z" + type);
      insert(type, target);
      begin(page.job, target);
      ASSERT_NO_FATAL_FAILURE(arrive(target));
      // Reported once: to go on is to take the fault.
      EXPECT_EQ(finish(), "P");
      begin(page.job, target);
      ASSERT_NO_FATAL_FAILURE(arrive(target));
      remove(type, target);
      EXPECT_EQ(finish(), "P");
      EXPECT_EQ(run(page.job, target), "P");
    }
  }
}

// The guest's own breakpoint comes before its fault, too, and the debugger changes nothing of that.
TEST_F(Arrivals, TheGuestsOwnBreakpointComesBeforeItsPageFault) {
  NEEDS(Feature::EveryInstruction);
  const std::uint64_t beside = window_ + 0x2800, code = (*guest_)["ap_main"];
  for (const std::uint64_t offset : {0u, 0x1000u, 0x4000u}) {
    SCOPED_TRACE(offset);
    const std::uint64_t target = window_ + offset;
    // Twice: an emulated processor forgets RF when the host has to map the guest's tables.
    EXPECT_EQ(run(Call, target), "P");
    EXPECT_EQ(run(CallWithOwnBreakpoint, target), "DP");
    for (const std::uint64_t elsewhere : {beside, code, target + 8}) {
      for (const char type : {'0', '1'}) {
        SCOPED_TRACE(std::string("Z") + type + " at " + hex_number(elsewhere));
        insert(type, elsewhere);
        EXPECT_EQ(run(CallWithOwnBreakpoint, target), "DP");
        remove(type, elsewhere);
      }
    }
    // And the debugger's before both.
    for (const char type : {'0', '1'}) {
      insert(type, target);
      begin(CallWithOwnBreakpoint, target);
      ASSERT_NO_FATAL_FAILURE(arrive(target));
      remove(type, target);
      EXPECT_EQ(finish(), "DP");
    }
  }
}

TEST_F(Arrivals, Row37_ABreakpointFollowsItsAddressToAnotherPage) {
  const std::uint64_t moving = window_ + 0x2000;
  for (const char type : {'0', '1'}) {
    SCOPED_TRACE(type);
    insert(type, moving);
    set("entry", (*guest_)["window_pt"] + 0x10);
    set("value", (*guest_)["frame_b"] | 3);
    begin(MapAndCall, moving);
    ASSERT_NO_FATAL_FAILURE(arrive(moving));
    EXPECT_EQ(word("calls_b"), 0u);
    EXPECT_EQ(finish(), "");
    EXPECT_EQ(word("calls_b"), 1u);
    // Again, now that it has been seen to lead there, and back.
    begin(Call, moving);
    ASSERT_NO_FATAL_FAILURE(arrive(moving));
    EXPECT_EQ(finish(), "");
    set("value", (*guest_)["frame_a"] | 3);
    begin(MapAndCall, moving);
    ASSERT_NO_FATAL_FAILURE(arrive(moving));
    EXPECT_EQ(finish(), "");
    remove(type, moving);
    EXPECT_EQ(run(Call, moving), "");
    EXPECT_EQ(word("calls_b"), 2u);
    EXPECT_EQ(word("calls_a"), 2u);
    set("calls_a", 0);
    set("calls_b", 0);
  }
}

TEST_F(Arrivals, Row37_ABreakpointIsHitInAnotherAddressSpaceWithAPageOfItsOwn) {
  // The first is not mapped where the client sets it: a program that does not run yet.
  for (const std::uint64_t offset : {0u, 0x2000u}) {
    for (const char type : {'0', '1'}) {
      SCOPED_TRACE(std::string("Z") + type + " at " + hex_number(offset));
      insert(type, window_ + offset);
      begin(CallInOtherSpace, window_ + offset);
      ASSERT_NO_FATAL_FAILURE(arrive(window_ + offset));
      EXPECT_THAT(monitor("registers"), HasSubstr(hex_number((*guest_)["space_b"])));
      EXPECT_EQ(word("calls_b"), 0u);
      EXPECT_EQ(finish(), "");
      EXPECT_EQ(word("calls_b"), 1u);
      set("calls_b", 0);
      remove(type, window_ + offset);
    }
  }
}

// The byte is hit through an alias, also when the address itself leads nowhere any more, until the
// page is given to somebody else.
TEST_F(Arrivals, Row37_APageThatWasGivenAwayStopsNobody) {
  const std::uint64_t address = window_ + 0x2000, alias = window_ + 0x3000;
  insert('0', address);
  begin(Call, alias);
  ASSERT_NO_FATAL_FAILURE(arrive(alias));
  EXPECT_EQ(finish(), "");
  set("entry", (*guest_)["window_pt"] + 0x10);
  set("value", 0);
  begin(MapAndCall, alias);
  ASSERT_NO_FATAL_FAILURE(arrive(alias));
  EXPECT_EQ(finish(), "");
  EXPECT_EQ(word("calls_a"), 2u);
  EXPECT_THAT(monitor("breakpoints"), Not(HasSubstr("given away")));
  begin(GiveAwayAndCall, alias);
  client_->interrupt();
  EXPECT_EQ(await_stop().signal, 2u);
  EXPECT_EQ(finish(), "");
  EXPECT_EQ(word("calls_c"), 1u);
  if (engine() == "soft") {
    EXPECT_THAT(monitor("breakpoints"), HasSubstr("given away"));
  }
  EXPECT_EQ(run(Call, alias), "");
  EXPECT_EQ(word("calls_c"), 2u);
  // The address itself still counts.
  set("value", (*guest_)["frame_a"] | 3);
  begin(MapAndCall, address);
  ASSERT_NO_FATAL_FAILURE(arrive(address));
  EXPECT_EQ(finish(), "");
  remove('0', address);
  EXPECT_EQ(client_->read((*guest_)["frame_a"], 2), "\x90\x48");  // frame C's function
}

TEST_F(Arrivals, MonitorSaysWhatABreakpointIs) {
  insert('0', window_);
  insert('0', window_ + 0x2000);
  const std::string text = monitor("breakpoints");
  const std::string how =
      engine() == "soft" ? "seen by the software CPU, on every vCPU" : "debug register";
  EXPECT_THAT(text, ContainsRegex("0x0000000040000000 at the linear address \\(" + how + "\\), 0"));
  const std::string mechanism = engine() == "soft" ? "breakpoint" : "int3";
  EXPECT_THAT(text, HasSubstr("0x0000000040002000 " + mechanism + " at physical 0x" +
                              hex_number((*guest_)["frame_a"]) + " (where cr3 is 0x"));
}

// As far as debug registers reach, where there are only those; an int3 follows the others at
// resumes. Whoever asks for one of the registers gets it.
TEST_F(Arrivals, MoreBreakpointsThanRegisters) {
  for (std::uint64_t i = 0; i < 6; ++i)
    insert('0', window_ + 0x1000 + i);
  for (std::uint64_t i = 0; i < 3; ++i) {
    begin(Call, window_ + 0x1000 + i);
    ASSERT_NO_FATAL_FAILURE(arrive(window_ + 0x1000 + i));
    EXPECT_EQ(finish(), "P");
  }
  if (engine() == "soft") {
    begin(Call, window_ + 0x1005);
    ASSERT_NO_FATAL_FAILURE(arrive(window_ + 0x1005));
    EXPECT_EQ(finish(), "P");
  } else {
    EXPECT_THAT(monitor("breakpoints"),
                HasSubstr("40001005 int3 at physical 0x" + hex_number((*guest_)["frame_a"] + 5)));
    EXPECT_THAT(monitor("breakpoints"), HasSubstr("no debug register"));
  }
  for (std::uint64_t i = 0; i < 4; ++i)
    insert('1', window_ + i);
  for (std::uint64_t i = 0; i < 4; ++i) {
    begin(Call, window_ + i);
    ASSERT_NO_FATAL_FAILURE(arrive(window_ + i));
    EXPECT_EQ(finish(), "P");
  }
}

TEST_F(Arrivals, Row36_NothingIsLeftWhenTheClientGoes) {
  const std::uint64_t moving = window_ + 0x2000;
  const std::string code = client_->read((*guest_)["frame_a"], 16);
  for (const std::uint64_t offset : {0u, 0x1000u, 0x2000u, 0x5000u})
    insert('0', window_ + offset);
  begin(CallInOtherSpace, moving);
  ASSERT_NO_FATAL_FAILURE(arrive(moving));
  client_->reset();
  await_change(*guest_, (*guest_)["calls_b"], 0);
  client_.emplace(guest_->attach());
  client_->request("vCont?");
  EXPECT_EQ(client_->read((*guest_)["frame_a"], 16), code);
  EXPECT_EQ(finish(), "");
  for (const std::uint64_t offset : {0u, 0x1000u})
    EXPECT_EQ(run(Call, window_ + offset), "P");
  EXPECT_EQ(run(Call, moving), "");
}

}  // namespace
}  // namespace ringside::testing
