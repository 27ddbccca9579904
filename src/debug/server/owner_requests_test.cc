// What the owner of the machine asks for beside the server's clients.
#include <gtest/gtest.h>

#include "debug/testing/fixture.h"

namespace ringside::debug {
namespace {

using testing::Bench;
namespace opcode = testing::opcode;

struct Owned : Bench {
  Owned() : Bench(2) {
    for (const unsigned at : {0x1000, 0x2000})
      guest.write(at, {opcode::kIncRax, opcode::kJump, 0xfd});
    guest.vm.vcpu({1}).cpu.rip = 0x2000;
  }
  void ask_for_a_moment() {
    server.while_out([this] {
      ++moments;
      EXPECT_FALSE(in_guest(0) || in_guest(1));
    });
  }
  int moments = 0;
};

TEST(OwnerRequests, AreServedOnceWhileTheGuestRuns) {
  Owned bench;
  bench.server.start();
  bench.ask_for_a_moment();
  EXPECT_TRUE(bench.server.has_work());
  bench.run(3);
  EXPECT_EQ(bench.moments, 1);
  EXPECT_FALSE(bench.server.has_work());
  EXPECT_FALSE(bench.server.holds_guest());
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
}

TEST(OwnerRequests, AreNotSeenByAClientThatWaitsForAStop) {
  Owned bench;
  bench.attach().ask("c");
  bench.ask_for_a_moment();
  bench.run();
  EXPECT_EQ(bench.moments, 1);
  EXPECT_TRUE(bench.in_guest(0) && bench.in_guest(1));
  EXPECT_EQ(bench.client.receive(), "(nothing)");
  bench.client.interrupt();
  bench.ask_for_a_moment();
  bench.run();
  EXPECT_EQ(bench.client.receive().substr(0, 3), "S05");
  EXPECT_EQ(bench.moments, 2);
}

TEST(OwnerRequests, LeaveAStoppedGuestStopped) {
  Owned bench;
  bench.attach();
  bench.run();
  EXPECT_TRUE(bench.server.holds_guest());
  bench.ask_for_a_moment();
  bench.server.drain_events();
  EXPECT_EQ(bench.moments, 1);
  EXPECT_TRUE(bench.server.holds_guest());
  EXPECT_FALSE(bench.in_guest(0) || bench.in_guest(1));
  bench.client.disconnect();
  EXPECT_FALSE(bench.server.holds_guest());
}

TEST(OwnerRequests, AGuestThatWaitsForItsFirstClientIsHeld) {
  ServerOptions options;
  options.wait = true;
  Bench bench(1, std::move(options));
  bench.server.start();
  EXPECT_TRUE(bench.server.holds_guest());
  EXPECT_FALSE(bench.in_guest(0));
}

TEST(OwnerRequests, TheMonitorOnlyLooks) {
  Owned bench;
  bench.server.start();
  std::string registers, refused, unknown;
  bench.server.while_out([&] {
    registers = bench.server.monitor("registers rip", {1}, "no");
    refused = bench.server.monitor("watch-phys 0x1000 8", {0}, "no");
    unknown = bench.server.monitor("nosuch", {0}, "no");
  });
  bench.run();
  EXPECT_EQ(registers.substr(0, 18), "rip 0x000000000000");
  EXPECT_EQ(refused, "watch-phys: no\n");
  EXPECT_EQ(unknown.substr(0, 16), "There is no comm");
}

}  // namespace
}  // namespace ringside::debug
