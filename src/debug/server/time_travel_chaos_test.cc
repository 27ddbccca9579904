// A client that does anything at any time to a machine with a past. It must be as it was wherever
// it is, nobody may be let into its past, and when the client has gone it is in the present.
#include <random>

#include "debug/testing/travel_bench.h"

namespace ringside::debug {
namespace {

using hypervisor::Capability;
using testing::TravelBench;

const char* const kPackets[] = {"bs",
                                "bs",
                                "bc",
                                "bc",
                                "c",
                                "s",
                                "vCont?",
                                "vCont;c",
                                "vCont;s:1;c",
                                "vCont;s:2",
                                "vCont;t:1;c",
                                "vCont;r1000,1003:1;c",
                                "vCtrlC",
                                "Hc1",
                                "Hc2",
                                "Z0,1000,1",
                                "z0,1000,1",
                                "Z0,1102,1",
                                "z0,1102,1",
                                "Z0,1001,1;X7,26000022051327",
                                "Z0,1003,1;cmds:0,Xe,22002200340000056869740a0027",
                                "z0,1003,1",
                                "Z2,3000,8",
                                "z2,3000,8",
                                "qRcmd,77617463682d7068797320307833303034",
                                "?",
                                "g",
                                "m3000,10",
                                "M3000,1:55",
                                "P0=0102030405060708",
                                "qfThreadInfo",
                                "qSupported:swbreak+;multiprocess+",
                                "qSupported",
                                "qHostInfo",
                                "!",
                                "D",
                                "vAttach;1",
                                "vRun;",
                                "bs1"};

class Chaos {
 public:
  explicit Chaos(unsigned seed) : random_(seed) {
    machine_.server.start();
    machine_.client.connect();
  }

  void run(unsigned steps) {
    for (unsigned i = 0; i < steps; ++i) {
      machine_.travel.slice = 1 + pick(6);
      act();
      ASSERT_TRUE(machine_.travel.is_right()) << "at step " << i;
    }
    machine_.client.disconnect();
    ASSERT_TRUE(machine_.travel.is_right());
    ASSERT_FALSE(machine_.travel.in_past());
    ASSERT_FALSE(machine_.travel.is_travelling());
    ASSERT_FALSE(machine_.server.has_work());
    ASSERT_TRUE(machine_.engine.linear.empty() && machine_.engine.watches.empty());
    ASSERT_TRUE(machine_.engine.physical.empty() && machine_.engine.physical_watches.empty());
    for (std::uint32_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(machine_.guest.vm.vcpu({i}).in_guest());
      ASSERT_FALSE(machine_.guest.vm.vcpu({i}).has(Capability::MonitorTrap));
      ASSERT_FALSE(machine_.guest.vm.vcpu({i}).has(Capability::MaskInterrupts));
    }
  }
  // How often it was in its past.
  unsigned past() const { return past_; }

 private:
  unsigned pick(unsigned count) { return std::uniform_int_distribution(0u, count - 1)(random_); }

  void act() {
    switch (pick(12)) {
      case 0:
        machine_.client.interrupt();
        break;
      case 1:
        machine_.run(1 + pick(4));
        break;
      case 2:
        if (pick(8) != 0) break;
        machine_.client.disconnect();
        machine_.client.connect();
        break;
      case 3:
      case 4:
        for (unsigned i = pick(20); i > 0; --i)
          machine_.server.drain_events();
        break;
      case 5:
        machine_.client.take_raw();
        break;
      case 6:
        if (machine_.server.wants_close()) {
          machine_.client.disconnect();
          machine_.client.connect();
        }
        break;
      default:
        machine_.client.send(kPackets[pick(std::size(kPackets))]);
    }
    past_ += machine_.travel.in_past() ? 1 : 0;
  }

  std::mt19937 random_;
  TravelBench machine_{2};
  unsigned past_ = 0;
};

TEST(TimeTravelChaos, AnyClientAtAnyTime) {
  unsigned past = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Chaos chaos(seed);
    chaos.run(300);
    past += chaos.past();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(past, 10'000u);
}

}  // namespace
}  // namespace ringside::debug
