// Stops, continues, steps and hits on four vCPUs in any order, and a client that goes in the midst
// of them. RINGSIDE_TEST_EVENTS says how many, for machines that take long.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

#include "engine/kvm/kvm_vm.h"
#include "kvm/non_stop_rig.h"
#include "kvm/race_rig.h"
#include "support/effort.h"
#include "support/host.h"

namespace ringside::testing {
namespace {

class Races : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    SKIP_IF(GetParam().missing());
    for (const Feature feature : {Feature::Breakpoints, Feature::Steps, Feature::SecondVcpu}) {
      SKIP_IF(GetParam().lacks(feature));
    }
  }

  static unsigned events() { return test_events(1000); }

  template <typename Rig>
  void run(unsigned seed, unsigned kills, unsigned count) {
    Rig rig(GetParam(), seed);
    for (unsigned i = 0; i < count && !HasFailure(); ++i) {
      SCOPED_TRACE(i);
      rig.act(kills);
    }
    const RaceBed::Counts& counts = rig.counts();
    RecordProperty("hits", static_cast<int>(counts.hits));
    std::printf("%u resumes: %u hits, %u steps, %u stops; %u clients killed\n", counts.resumes,
                counts.hits, counts.steps, counts.stops, counts.kills);
    if (!HasFailure()) rig.kill();
  }
};

// KVM as on a host that does not intercept int3: breakpoints are debug registers.
EngineKind kvm_without_int3() {
  static const kvm::Facts facts = [] {
    kvm::Facts found = kvm::host_facts();
    found.int3_exit = found.int3_as_error = false;
    return found;
  }();
  return {"kvm_without_int3", [] { return host::no_engine("kvm", facts.reason); },
          [](Feature) { return facts.execute_slot && facts.step ? "" : "no debug registers"; },
          [](hypervisor::GuestRam& ram, machine::Machine& machine, const x86::CpuState& entry,
             unsigned vcpus) -> std::unique_ptr<hypervisor::Engine> {
            auto engine = kvm::create(ram, machine, entry, {.vcpus = vcpus, .facts = &facts});
            if (!engine) throw std::runtime_error(engine.error().text());
            machine.connect(**engine);
            return *std::move(engine);
          }};
}

INSTANTIATE_TEST_SUITE_P(WithoutInt3, Races, ::testing::Values(kvm_without_int3()),
                         [](const auto& kind) { return kind.param.name; });
INSTANTIATE_TEST_SUITE_P(Engines, Races, ::testing::ValuesIn(engine_kinds()),
                         [](const auto& kind) { return kind.param.name; });

TEST_P(Races, NoReportIsLostDoubledOrStale) { run<RaceRig>(1, 1, events()); }
TEST_P(Races, AKilledClientLeavesTheGuestRunning) {
  run<RaceRig>(2, 30,
               events() / 5);  // after each the guest must be seen to get on, which takes its time
}

TEST_P(Races, InNonStopModeEachStopIsToldOnce) { run<NonStopRig>(3, 0, events()); }
TEST_P(Races, AKilledNonStopClientLeavesTheGuestRunning) { run<NonStopRig>(4, 30, events() / 5); }

// Its embedder ends, and the vCPUs are in the middle of a condition.
TEST_P(Races, AServerGoesWhileItsConditionsAreJudged) {
  for (unsigned i = 0; i < 5; ++i) {
    TestVm vm(GetParam(), "counters", 4);
    std::optional<debug::Server> server(std::in_place, vm.engine(), debug::ServerOptions{});
    debug::testing::Client client(*server);
    server->start();
    client.connect();
    for (const Deadline deadline; client.ask("?") == "(nothing)" && !deadline.passed();) {
      vm.engine().run_slice();
      server->drain_events();
    }
    client.ask(fmt::format("Z0,{:x},1;X3,220027", vm["tick"]));
    client.send("vCont;c");
    vm.engine().run_slice();
    server->drain_events();
    client.send("D");  // whose teardown has no time to end
    server.reset();
    while (vm.engine().take_event()) {
    }
  }
}

TEST(WithoutInt3, TheRefusalSaysHowManyBreakpointsAreLeft) {
  const EngineKind kind = kvm_without_int3();
  SKIP_IF(kind.missing());
  TestVm vm(kind, "counters");
  debug::Server server(vm.engine(), {.wait = true});
  debug::testing::Client client(server);
  server.start();
  client.connect();
  client.ask("qSupported:error-message+");
  const std::uint64_t tick = vm["tick"];
  for (std::uint64_t i = 0; i < 4; ++i)
    EXPECT_EQ(client.ask(fmt::format("Z0,{:x},1", tick + i)), "OK");
  EXPECT_EQ(client.ask(fmt::format("Z0,{:x},1", tick + 4)),
            "E.this takes 1 of the processor's 4 debug registers and 0 are left");
  EXPECT_EQ(client.ask(fmt::format("z0,{:x},1", tick + 1)), "OK");
  EXPECT_EQ(client.ask(fmt::format("Z0,{:x},1", tick + 4)), "OK");
}

}  // namespace
}  // namespace ringside::testing
