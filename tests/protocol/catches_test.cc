// monitor catch and monitor pending: raw packets to the real program.
#include <gmock/gmock.h>

#include <initializer_list>
#include <optional>
#include <string>

#include "protocol/protocol_test.h"

namespace ringside::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class Catches : public Protocol {
 protected:
  void begin(std::string_view name, const GuestOptions& options = {}) {
    client_.reset();
    guest_.emplace(name, options);
    client_.emplace(guest_->attach());
    client_->request("vCont?");
  }
  std::string monitor(const std::string& command) { return testing::monitor(*client_, command); }
  // Lets the guest go up to the next stop; what is said before it.
  std::string run() {
    client_->send("vCont;c");
    std::string words;
    for (;;) {
      const std::string packet = client_->receive();
      if (packet.front() != 'O') {
        EXPECT_EQ(packet.substr(0, 3), "T05") << packet;
        return words;
      }
      words += unhex(packet.substr(1));
    }
  }
  bool soft() const { return engine() == "soft"; }

  std::optional<GuestProcess> guest_;
  std::optional<DebugClient> client_;
};

TEST_F(Catches, APortIsCaughtWithItsReasonInWords) {
  begin("transfers");
  EXPECT_EQ(monitor("catch"), "Nothing is caught.\n");
  EXPECT_EQ(monitor("catch io 0xe9 w if $rcx <= 0x20"),
            "Catch 1: io 0xe9 w if $rcx <= 0x20, 0 hits, 0 true\n");
  EXPECT_EQ(monitor("catch io 0x3f8"), "Catch 2: io 0x3f8, 0 hits\n");
  EXPECT_THAT(run(), HasSubstr("vCPU 0 wrote 0x72 to port 0x3f8 (1 byte)\n"));
  EXPECT_THAT(run(), ContainsRegex("vCPU 0 wrote 0x.. to port 0xe9"));
  EXPECT_LE(std::stoull(client_->request("p2").substr(0, 2), nullptr, 16), 0x20u);
  EXPECT_EQ(monitor("catch delete all"), "2 taken out.\n");
  client_->send("vCont;c");
  EXPECT_TRUE(client_->silent_for(kQuiet));
}

// In non-stop mode what is caught stops the vCPU that has done it, and the others run on.
TEST_F(Catches, InNonStopModeOneVcpuStops) {
  begin("counters", {.cpus = 4});
  const auto ask = [&](const char* packet) { return client_->request(packet); };
  const auto counter = [&](unsigned vcpu) {
    return client_->read_u64((*guest_)["counters"] + 8 * vcpu);
  };
  const auto await_progress_of = [&](std::initializer_list<unsigned> vcpus) {
    const Deadline deadline;
    for (const unsigned vcpu : vcpus) {
      const std::uint64_t before = counter(vcpu);
      while (counter(vcpu) == before)
        ASSERT_FALSE(deadline.passed()) << "vCPU " << vcpu << " does not run";
    }
  };
  // A notification may come before an acknowledgement.
  EXPECT_EQ(ask("QStartNoAckMode"), "OK");
  client_->set_acks(Acks::None);
  EXPECT_EQ(ask("QNonStop:1"), "OK");
  EXPECT_EQ(ask("?").substr(0, 13), "T00thread:01;");
  EXPECT_EQ(ask("vStopped"), "OK");
  // Each vCPU says its number, that of vCPU 2 is this one.
  EXPECT_EQ(monitor("catch io 0x3f8 w if $rcx == 0x32"),
            "Catch 1: io 0x3f8 w if $rcx == 0x32, 0 hits, 0 true\n");
  EXPECT_EQ(ask("vCont;c"), "OK");
  std::string stop = ask("?");
  for (const Deadline deadline; stop == "OK"; stop = ask("?"))
    ASSERT_FALSE(deadline.passed());
  EXPECT_EQ(stop.substr(0, 13), "T05thread:03;");
  EXPECT_EQ(ask("vStopped"), "OK");
  await_progress_of({0, 1, 3});
  EXPECT_EQ(counter(2), 0u);
  EXPECT_THAT(monitor("catch"),
              ContainsRegex("1: io 0x3f8 w if .rcx == 0x32, [0-9]+ hits, 1 true"));
  EXPECT_EQ(monitor("catch delete all"), "1 taken out.\n");  // while they run
  EXPECT_EQ(ask("vCont;c:3"), "OK");
  await_progress_of({2});
  EXPECT_EQ(ask("?"), "OK");
}

// Where an engine cannot, it says so in a sentence.
TEST_F(Catches, AnExceptionIsCaughtBeforeItsDelivery) {
  begin("int3");
  const std::string said = monitor("catch exception #BP");
  if (!soft()) {
    EXPECT_EQ(said, "catch: this engine does not catch that\n");
    return;
  }
  EXPECT_EQ(said, "Catch 1: exception #BP (3), 0 hits\n");
  for (const char* place : {"plain", "prefixed", "plain"}) {
    EXPECT_THAT(run(), HasSubstr("vCPU 0 is about to get exception #BP (3)\n"));
    EXPECT_EQ(client_->rip(), (*guest_)[place]);
    // A debugger that steps from there delivers it.
    if (place == std::string("prefixed")) {
      client_->step();
      EXPECT_EQ(client_->rip(), (*guest_)["handler"]);
    }
  }
  EXPECT_THAT(monitor("catch"), HasSubstr("3 hits"));
}

TEST_F(Catches, CatchesGoWithTheirClientAndStayInAReset) {
  begin("counters");
  monitor("catch io 0x3f8 w");
  run();
  monitor("reset");
  EXPECT_THAT(run(), HasSubstr("wrote 0x30 to port 0x3f8"));
  EXPECT_EQ(monitor("catch"), "1: io 0x3f8 w, 2 hits\n");
  client_->detach();
  client_->close();
  client_.emplace(guest_->attach());
  EXPECT_EQ(monitor("catch"), "Nothing is caught.\n");
}

TEST_F(Catches, WhatWaitsForAVcpuIsShown) {
  begin("halt", {.cpus = 2});
  client_->run_to((*guest_)["at_hlt"]);
  EXPECT_THAT(monitor("pending 0"), AllOf(HasSubstr("exception: none\n"), HasSubstr("NMI: none\n"),
                                          HasSubstr("external interrupt: none (rflags.if is ")));
  EXPECT_THAT(monitor("info pending"), AllOf(HasSubstr("CPU #0:\n"), HasSubstr("CPU #1:\n")));
  monitor("nmi");
  EXPECT_THAT(monitor("pending 0"), HasSubstr("NMI: pending\n"));
}

TEST_F(Catches, WhoLooksSeesThemAndChangesNothing) {
  begin("counters");
  monitor("catch hlt");
  monitor("catch io 0x3f8");
  const std::string listed = monitor("catch");
  DebugClient other = guest_->attach();
  other.request("vCont?");
  EXPECT_EQ(testing::monitor(other, "catch"), listed);
  EXPECT_THAT(testing::monitor(other, "pending 0"), HasSubstr("interrupt shadow: none"));
  EXPECT_THAT(testing::monitor(other, "catch delete all"), HasSubstr("catch: "));
  EXPECT_THAT(testing::monitor(other, "catch msr"), HasSubstr("catch: "));
  EXPECT_EQ(monitor("catch"), listed);
}

// Stops of every kind, and what the guest is in the end: the same as without.
TEST_F(Catches, CatchesChangeNothing) {
  SKIP_IF(soft() ? "" : "the hash is the software CPU's");
  const auto hash_at_finish = [&](bool catches) {
    begin("vectors64");
    if (catches) {
      for (const char* what :
           {"exception", "interrupt", "msr", "io 0-0xffff", "cr", "hlt", "task-switch", "cpl"})
        EXPECT_THAT(monitor(std::string("catch ") + what), HasSubstr("0 hits"));
    }
    client_->insert((*guest_)["finished"]);
    unsigned stops = 0;
    while (!run().empty())
      ++stops;
    EXPECT_TRUE(!catches || stops > 400) << stops;
    EXPECT_EQ(client_->rip(), (*guest_)["finished"]);
    return monitor("hash");
  };
  const std::string plain = hash_at_finish(false);
  EXPECT_EQ(hash_at_finish(true), plain);
}

}  // namespace
}  // namespace ringside::testing
