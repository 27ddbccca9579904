// Restarts, and what the end of the machine looks like: what stock GDB sends under `target
// extended-remote`, as raw packets.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ExtendedRemote : public Protocol {
 protected:
  void begin(const GuestOptions& options = {}) {
    guest_.emplace("counters", options);
    client_.emplace(guest_->attach());
    EXPECT_EQ(client_->request("!"), "OK");
  }
  std::uint64_t counter() { return client_->read_u64((*guest_)["counters"]); }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

TEST_F(ExtendedRemote, RunStartsTheMachineAgain) {
  begin({.cpus = 2});
  const std::string at_power_on = client_->request("g");
  client_->resume();
  guest_->await_said_numbers(2);
  client_->stop();
  EXPECT_THAT(client_->threads(), ::testing::SizeIs(2));
  EXPECT_EQ(client_->request("vKill;1"), "OK");
  EXPECT_EQ(client_->request("vRun;"), "S05");
  // Before the first instruction, and there it stays.
  EXPECT_EQ(client_->request("g"), at_power_on);
  EXPECT_THAT(client_->threads(), ::testing::SizeIs(1));
  EXPECT_EQ(counter(), 0u);
  client_->run_to((*guest_)["tick"]);
  // Again, without a kill before it, and as R.
  EXPECT_THAT(client_->request("vRun;;61"), StartsWith("S05"));
  EXPECT_EQ(client_->request("g"), at_power_on);
  client_->run_to((*guest_)["tick"]);
  client_->send("R00");
  EXPECT_EQ(client_->request("?"), "S05");
  EXPECT_EQ(client_->request("g"), at_power_on);
  client_->run_to((*guest_)["tick"]);
  client_->detach();
}

TEST_F(ExtendedRemote, WhoHasKilledOrDetachedMayAttachAgain) {
  begin();
  for (const char* leave : {"vKill;1", "D;1"}) {
    client_->insert((*guest_)["tick"]);
    EXPECT_EQ(client_->request(leave), "OK");
    EXPECT_EQ(client_->request("?"), "W00");
    EXPECT_EQ(client_->request("g"), "E02");
    EXPECT_THAT(client_->request("vAttach;1"), StartsWith("S05"));
    const std::uint64_t before = counter();
    // The guest ran, and runs, and no breakpoint is left.
    client_->resume();
    client_->stop();
    for (const Deadline deadline; counter() == before && !deadline.passed();) {
      client_->resume();
      client_->stop();
    }
    EXPECT_NE(counter(), before);
  }
  // Another client can only look.
  DebugClient second = guest_->connect();
  EXPECT_THAT(second.request("c"), StartsWith("O"));
  EXPECT_THAT(second.receive(), StartsWith("E"));
  EXPECT_EQ(client_->request("qAttached"), "1");
}

TEST_F(ExtendedRemote, AFailedRunIsAnErrorInWords) {
  const std::string module = ::testing::TempDir() + "ringside-module-" + std::to_string(getpid());
  std::ofstream(module) << "a module";
  begin({.arguments = {"-i", module}});
  client_->request("qSupported:error-message+");
  client_->run_to((*guest_)["tick"]);
  const std::string before = client_->request("g");
  std::remove(module.c_str());
  EXPECT_THAT(client_->request("vRun;"), AllOf(StartsWith("E."), HasSubstr(module)));
  EXPECT_EQ(client_->request("g"), before);
  EXPECT_EQ(client_->step().signal, 5u);
  std::ofstream(module) << "a module";
  EXPECT_EQ(client_->request("vRun;"), "S05");
  EXPECT_NE(client_->request("g"), before);
  std::remove(module.c_str());
}

TEST_F(ExtendedRemote, KillStopsTheMachineWhereThatIsAsked) {
  begin({.arguments = {"--on-kill", "stop"}});
  EXPECT_EQ(client_->request("vKill;1"), "OK");
  client_->await_close();
  EXPECT_EQ(guest_->process().await_exit(), 1);
}

TEST_F(ExtendedRemote, AnEndFromOutsideIsTold) {
  begin();
  client_->resume();
  client_->set_acks(Acks::Manual);
  guest_->await_said("0");
  guest_->process().kill(SIGTERM);
  EXPECT_EQ(client_->receive(), "W04");
  client_->await_close();
  EXPECT_EQ(guest_->process().await_exit(), 4);
}

}  // namespace
}  // namespace ringside::testing
