// Stops, continues, steps and hits on four vCPUs in any order, and a client that goes in the midst
// of them. RINGSIDE_TEST_EVENTS says how many, for machines that take long.
#include <gtest/gtest.h>

#include <cstdlib>

#include "kvm/race_rig.h"

namespace ringside::testing {
namespace {

class Races : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    if (const std::string why = GetParam().missing(); !why.empty()) GTEST_SKIP() << why;
    for (const Feature feature : {Feature::Breakpoints, Feature::Steps}) {
      if (const std::string why = GetParam().lacks(feature); !why.empty()) GTEST_SKIP() << why;
    }
  }

  static unsigned events() {
    const char* text = std::getenv("RINGSIDE_TEST_EVENTS");
    return text == nullptr ? 1000 : static_cast<unsigned>(std::atoi(text));
  }

  void run(unsigned seed, unsigned kills, unsigned count) {
    RaceRig rig(GetParam(), seed);
    for (unsigned i = 0; i < count && !HasFailure(); ++i) {
      SCOPED_TRACE(i);
      rig.act(kills);
    }
    const RaceRig::Counts& counts = rig.counts();
    RecordProperty("hits", static_cast<int>(counts.hits));
    std::printf("%u resumes: %u hits, %u steps, %u stops; %u clients killed\n", counts.resumes,
                counts.hits, counts.steps, counts.stops, counts.kills);
    if (!HasFailure()) rig.kill();
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, Races, ::testing::ValuesIn(engine_kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(Races, NoReportIsLostDoubledOrStale) { run(1, 1, events()); }
TEST_P(Races, AKilledClientLeavesTheGuestRunning) {
  run(2, 30, events() / 5);  // after each the guest must be seen to get on, which takes its time
}

}  // namespace
}  // namespace ringside::testing
