// A guest that sleeps (ACPI S3) and wakes, in the whole program: by its clock's alarm and from
// outside; seen by a debugger and over the machine protocol; the same in a replay, in a saved
// machine and in the past.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "base/testing/temporary_folder.h"
#include "support/guest_process.h"
#include "support/host.h"
#include "support/qmp_client.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Stream = ChildProcess::Stream;
using Start = GuestOptions::Start;

constexpr int kPowerOff = 1;
constexpr const char* kAlarm = "awake, by the alarm, memory kept, devices reset\n";
constexpr const char* kButton = "awake, by the button, memory kept, devices reset\n";
constexpr const char* kSaysAlarm = "guest: asleep (ACPI S3), until its clock's alarm\n";
constexpr const char* kSaysNoAlarm = "guest: asleep (ACPI S3), and has set no alarm";

class Sleep : public ::testing::Test {
 protected:
  void SetUp() override { SKIP_IF(host::no_engine(engine())); }
  // Virtual time alone passes where there is one.
  static GuestOptions options(std::vector<std::string> more = {}) {
    if (engine() == "soft") more.insert(more.end(), {"--pace", "off"});
    return {.start = Start::Running, .arguments = std::move(more)};
  }
  static std::string ask(GuestProcess& guest, const std::string& command) {
    DebugClient client = guest.attach();
    std::string said = monitor(client, command);
    client.detach();
    return said;
  }
  static void await_sleep_without_alarm(GuestProcess& guest) {
    guest.process().await(Stream::Error, kSaysNoAlarm);
  }
  static std::string state(ChildProcess& process) {
    std::smatch found;
    const std::string& error = process.text(Stream::Error);
    std::regex_search(error, found, std::regex("state: .*"));
    return found.str();
  }
  const TemporaryFolder folder_;
};

TEST_F(Sleep, TheAlarmWakesTheGuestAndThenTheButtonDoes) {
  GuestProcess guest("sleeper", options());
  await_sleep_without_alarm(guest);
  EXPECT_THAT(guest.process().text(Stream::Error), HasSubstr(kSaysAlarm));
  EXPECT_THAT(ask(guest, "system_wakeup"), HasSubstr("is woken"));
  EXPECT_EQ(guest.process().await_exit(), kPowerOff);
  EXPECT_EQ(guest.process().text(Stream::Output), std::string(kAlarm) + kButton);
}

TEST_F(Sleep, OtherProcessorsAreStartedAnew) {
  GuestOptions two = options();
  two.cpus = 2;
  GuestProcess guest("sleeper2", two);
  await_sleep_without_alarm(guest);
  EXPECT_THAT(ask(guest, "system_wakeup"), HasSubstr("is woken"));
  EXPECT_EQ(guest.process().await_exit(), kPowerOff);
  EXPECT_EQ(guest.process().text(Stream::Output),
            std::string("all here\nall here\n") + kAlarm + "all here\n" + kButton);
}

// It stops there, and says what it is.
TEST_F(Sleep, ADebuggerSeesWhereItFellAsleep) {
  GuestProcess guest("sleeper", options());
  await_sleep_without_alarm(guest);
  DebugClient client = guest.attach();
  EXPECT_THAT(monitor(client, "info cpus"), HasSubstr("asleep (ACPI S3)"));
  const std::uint64_t rip = client.rip();
  EXPECT_GE(rip, guest["sleep"]);
  EXPECT_LT(rip, guest["vcpu_main"]);
  EXPECT_THAT(monitor(client, "info status"), HasSubstr("paused"));
  client.resume();
  client.stop();
  EXPECT_EQ(client.rip(), rip);
  EXPECT_THAT(monitor(client, "system_wakeup"), HasSubstr("is woken"));
  EXPECT_EQ(client.rip(), rip) << "nothing happens before it runs";
  client.detach();
  EXPECT_EQ(guest.process().await_exit(), kPowerOff);
}

TEST_F(Sleep, WakingOneThatIsAwakeIsRefused) {
  GuestProcess guest("counters", options());
  EXPECT_THAT(ask(guest, "system_wakeup"), HasSubstr("the guest does not sleep"));
}

TEST_F(Sleep, TheMachineProtocolIsTold) {
  const std::string socket = (folder_ / "qmp").string();
  GuestProcess guest("sleeper", options({"--qmp", "unix:" + socket}));
  await_sleep_without_alarm(guest);
  QmpClient qmp(socket);
  qmp.begin();
  EXPECT_THAT(qmp.run("query-status"), HasSubstr("\"status\": \"suspended\""));
  EXPECT_EQ(qmp.run("system_wakeup"), QmpClient::kDone);
  qmp.await_event("WAKEUP");
  EXPECT_EQ(guest.process().await_exit(), kPowerOff);
}

TEST_F(Sleep, AReplaySleepsAndWakesAlike) {
  if (engine() != "soft") GTEST_SKIP() << "journals are the software CPU's";
  const std::string journal = (folder_ / "journal").string();
  GuestProcess guest("sleeper", options({"--record", journal}));
  await_sleep_without_alarm(guest);
  EXPECT_THAT(ask(guest, "system_wakeup"), HasSubstr("is woken"));
  ASSERT_EQ(guest.process().await_exit(), kPowerOff);
  GuestProcess replay("sleeper",
                      {.start = Start::WithoutDebug, .arguments = {"--replay", journal}});
  replay.process().close_input();
  EXPECT_EQ(replay.process().await_exit(), kPowerOff);
  EXPECT_EQ(state(replay.process()), state(guest.process()));
  EXPECT_THAT(state(replay.process()), HasSubstr("hash"));
}

// Asleep and just awake are two moments, although no instruction is between them.
TEST_F(Sleep, GoingBackLeadsOverIt) {
  if (engine() != "soft") GTEST_SKIP() << "there is a past on the software CPU alone";
  GuestOptions held = options();
  held.start = Start::Held;
  GuestProcess guest("sleeper", held);
  DebugClient client = guest.attach();
  const auto asleep = HasSubstr("asleep (ACPI S3)");
  client.request("qSupported:hwbreak+");
  EXPECT_EQ(client.request("Z1,8000,1"), "OK");
  client.resume();
  EXPECT_TRUE(client.await_stop().field("hwbreak"));
  EXPECT_EQ(client.rip(), 0u) << "in real mode, at 0x800:0";
  const std::string woken = monitor(client, "hash");
  EXPECT_EQ(client.request("z1,8000,1"), "OK");
  client.resume();
  await_sleep_without_alarm(guest);
  client.stop();
  EXPECT_EQ(client.request("Z1,8000,1"), "OK");
  EXPECT_TRUE(parse_stop(client.request("bc")).field("hwbreak"));
  EXPECT_EQ(monitor(client, "hash"), woken);
  parse_stop(client.request("bs"));
  EXPECT_THAT(monitor(client, "info cpus"), Not(asleep));
  EXPECT_GE(client.rip(), guest["sleep"]);
  client.step();
  EXPECT_THAT(monitor(client, "info cpus"), asleep);
  client.resume();
  EXPECT_TRUE(client.await_stop().field("hwbreak"));
  EXPECT_EQ(monitor(client, "hash"), woken);
  client.step();
  EXPECT_NE(client.rip(), 0u);
  parse_stop(client.request("bs"));
  EXPECT_EQ(monitor(client, "hash"), woken);
  EXPECT_TRUE(parse_stop(client.request("bc")).field("replaylog"));
}

TEST_F(Sleep, ASavedMachineSleepsOn) {
  if (engine() != "soft") GTEST_SKIP() << "saved machines are the software CPU's";
  GuestProcess guest("sleeper", options({"--files", folder_.path().string()}));
  await_sleep_without_alarm(guest);
  EXPECT_THAT(ask(guest, "save asleep"), HasSubstr("asleep"));
  ChildProcess restored(
      {RINGSIDE_PROGRAM, "--restore", (folder_ / "asleep").string(), "--pace", "off", "-G", "0"});
  restored.await(Stream::Error, kSaysNoAlarm);
  const std::string error = restored.text(Stream::Error);
  std::smatch port;
  ASSERT_TRUE(std::regex_search(error, port, std::regex("listening on 127.0.0.1:([0-9]+)")));
  DebugClient client(static_cast<std::uint16_t>(std::stoi(port[1])));
  EXPECT_THAT(monitor(client, "system_wakeup"), HasSubstr("is woken"));
  client.detach();
  EXPECT_EQ(restored.await_exit(), kPowerOff);
  EXPECT_EQ(restored.text(Stream::Output), kButton);
}

}  // namespace
}  // namespace ringside::testing
