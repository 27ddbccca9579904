// Debuggers that look at a machine which another controls, over real sockets.
#include <gmock/gmock.h>

#include <vector>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using Start = GuestOptions::Start;
using ::testing::HasSubstr;

class Observers : public Protocol {};

TEST_F(Observers, SeeTheGuestRunUnderItsDebugger) {
  GuestProcess guest("counters", {.cpus = 4, .start = Start::Running});
  guest.await_said_numbers(4);
  DebugClient controller = guest.attach();
  controller.resume();
  std::vector<DebugClient> observers;
  for (int i = 0; i < 4; ++i)
    observers.push_back(guest.attach());
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint64_t address = guest["counters"] + 8 * i;
    const std::uint64_t before = observers[i].read_u64(address);
    for (const Deadline deadline; observers[i].read_u64(address) == before;)
      ASSERT_FALSE(deadline.passed());
    observers[i].select(i);
    EXPECT_NE(observers[i].registers().rip(), 0u);
  }
  EXPECT_TRUE(controller.silent_for(kQuiet));
  controller.stop();
  // What is stopped stands still for all.
  for (DebugClient& observer : observers)
    EXPECT_EQ(observer.read(guest["counters"], 32), controller.read(guest["counters"], 32));
}

TEST_F(Observers, HaveNoPartInWhatTheDebuggerSets) {
  GuestProcess guest("counters");
  DebugClient controller = guest.attach();
  controller.run_to(guest["tick"]);
  const std::string code = controller.read(guest["tick"], 8);
  controller.insert(guest["tick"]);
  DebugClient observer = guest.attach();
  EXPECT_EQ(observer.read(guest["tick"], 8), code);
  EXPECT_EQ(observer.request("z0," + hex_number(guest["tick"]) + ",1").substr(0, 1), "E");
  observer.reset();
  for (int i = 0; i < 3; ++i)
    controller.resume_past(guest["tick"]);
  EXPECT_EQ(controller.rip(), guest["tick"]);
}

TEST_F(Observers, MayTakeTheMachineOver) {
  GuestProcess guest("counters", {.start = Start::Running});
  guest.await_said("0");
  auto controller = std::make_unique<DebugClient>(guest.attach());
  controller->insert(guest["tick"]);
  DebugClient eldest = guest.attach(), heir = guest.attach();
  EXPECT_THAT(monitor(heir, "control"), HasSubstr("another debugger has the machine"));
  controller->reset();
  controller.reset();
  // Its breakpoints have gone, nobody has inherited, and the guest runs.
  const std::uint64_t before = heir.read_u64(guest["counters"]);
  for (const Deadline deadline; heir.read_u64(guest["counters"]) == before;)
    ASSERT_FALSE(deadline.passed());
  for (const Deadline deadline; monitor(heir, "control").find("machine now") == std::string::npos;)
    ASSERT_FALSE(deadline.passed());
  heir.run_to(guest["tick"]);
  EXPECT_EQ(heir.rip(), guest["tick"]);
  EXPECT_THAT(monitor(eldest, "control"), HasSubstr("another debugger has the machine"));
  EXPECT_EQ(eldest.rip(), guest["tick"]);
  heir.detach();
  // The next that comes has it again.
  DebugClient next = guest.attach();
  next.run_to(guest["tick"]);
}

TEST_F(Observers, AreSixteenAtMost) {
  GuestProcess guest("counters");
  DebugClient controller = guest.attach();
  std::vector<DebugClient> observers;
  for (int i = 0; i < 16; ++i)
    observers.push_back(guest.attach());
  DebugClient further = guest.connect();
  further.send_bytes(RawClient::frame("?"));
  further.await_close();
  observers.back().reset();
  observers.pop_back();
  for (const Deadline deadline;;) {  // until its end is noticed
    ASSERT_FALSE(deadline.passed());
    try {
      observers.push_back(guest.attach());
      break;
    } catch (const std::runtime_error&) {
    }
  }
  EXPECT_EQ(controller.request("qC"), "QC01");
}

// What observers send while the machine ends, is reset and travels.
TEST_F(Observers, StayThroughAReset) {
  GuestProcess guest("counters", {.cpus = 2, .start = Start::Running});
  guest.await_said_numbers(2);
  DebugClient controller = guest.attach();
  DebugClient observer = guest.attach();
  observer.select(1);
  EXPECT_THAT(monitor(controller, "system_reset"), HasSubstr("power-on"));
  EXPECT_EQ(observer.rip(), controller.rip());
  EXPECT_THAT(monitor(observer, "system_reset"), HasSubstr("only looks"));
  for (const std::string command : {"profile", "trace"}) {
    EXPECT_THAT(monitor(observer, command), HasSubstr(command + ": "));
    EXPECT_EQ(monitor(observer, command).find("only looks"), std::string::npos);
    EXPECT_THAT(monitor(observer, command + " stop"), HasSubstr("only looks"));
  }
  EXPECT_THAT(monitor(observer, "info status"), HasSubstr("paused"));
  EXPECT_THAT(monitor(observer, "quit"), HasSubstr("only looks"));
  EXPECT_TRUE(guest.running());
  controller.request("qRcmd," + hex("quit"));
  observer.await_close();
}

}  // namespace
}  // namespace ringside::testing
