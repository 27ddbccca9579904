// A machine that goes back and forth, compared with what it was: at every place that it comes to,
// the state is the one that was seen there first, and in the present it goes on as one that has
// never gone back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "travels/travelling_machine.h"

namespace ringside::testing {
namespace {

using hypervisor::Arrival;
using hypervisor::Journey;
using time::Place;

// More than usual, by RINGSIDE_TRAVELS.
unsigned effort() {
  const char* const given = std::getenv("RINGSIDE_TRAVELS");
  return given == nullptr ? 1 : static_cast<unsigned>(std::max(1, std::atoi(given)));
}

struct Setting {
  unsigned vcpus;
  bool translated;
};

soft::TranslatorOptions translator(bool on) {
  soft::TranslatorOptions options;
  options.mode = on ? soft::TranslatorOptions::Mode::On : soft::TranslatorOptions::Mode::Off;
  options.threshold = 2;
  return options;
}

Journey back(Journey::Until until, VcpuId vcpu = {}) {
  Journey journey;
  journey.until = until;
  journey.vcpu = vcpu;
  return journey;
}
Journey forward(Journey::Until until, VcpuId vcpu = {}) {
  Journey journey = back(until, vcpu);
  journey.direction = Journey::Direction::Forward;
  return journey;
}

class Travels : public ::testing::TestWithParam<Setting> {
 protected:
  TravelOptions options() const {
    TravelOptions options;
    options.guest = "ledger";
    options.vcpus = GetParam().vcpus;
    options.translator = translator(GetParam().translated);
    return options;
  }
  // The present gets on, with everything that can come from outside.
  void live(TravellingMachine& machine, unsigned slices) {
    for (unsigned i = 0; i < slices; ++i) {
      const VcpuId some{static_cast<std::uint32_t>(random() % GetParam().vcpus)};
      switch (random() % 12) {
        case 0:
          machine.type(std::string(1 + random() % 3, static_cast<char>('a' + random() % 26)));
          break;
        case 1:
          machine.poke(Gpa{machine.symbol("counted")}, static_cast<std::uint8_t>(random()));
          break;
        case 2:
          if (GetParam().vcpus > 1) machine.hold(some);
          break;
        default:
          if (machine.engine().vcpu(some).active()) machine.release(some);
          break;
      }
      machine.run(1 + random() % 2);
    }
    for (std::uint32_t v = 0; v < GetParam().vcpus; ++v) {
      if (machine.engine().vcpu({v}).active()) machine.release({v});
    }
    machine.run(1);
  }
  std::mt19937_64 random{GetParam().vcpus * 2u + (GetParam().translated ? 1 : 0)};
};

// What a place looks like. The same place is never anything else.
class Memory {
 public:
  explicit Memory(TravellingMachine& machine) : machine_(machine) {}
  void look(const std::string& how) {
    const Place here = machine_.travels().here();
    const std::pair seen{machine_.hash(), machine_.disk_hash()};
    const auto [known, is_new] = seen_.emplace(here, seen);
    ASSERT_EQ(known->second, seen) << "at " << here.at.progress.instructions.value << " +"
                                   << here.at.progress.parts << ", by " << how;
    repeated_ += is_new ? 0 : 1;
  }
  const Place& any(std::mt19937_64& random) const {
    auto at = seen_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random() % seen_.size()));
    return at->first;
  }
  std::size_t repeated() const { return repeated_; }

 private:
  TravellingMachine& machine_;
  std::map<Place, std::pair<std::uint64_t, std::uint64_t>> seen_;
  std::size_t repeated_ = 0;
};

TEST_P(Travels, EveryPlaceHasOneState) {
  TravellingMachine machine(options());
  Memory memory(machine);
  const unsigned walks = 25 * effort();
  for (unsigned walk = 0; walk < walks; ++walk) {
    live(machine, 10);
    memory.look("living");
    const std::uint64_t present = machine.hash(), image = machine.disk_hash();
    const std::vector<std::byte> on_disk = machine.image();
    const std::size_t said = machine.output().size();
    for (unsigned i = 0; i < 12; ++i) {
      const VcpuId vcpu{static_cast<std::uint32_t>(random() % GetParam().vcpus)};
      switch (random() % 6) {
        case 0:
          machine.go_to(memory.any(random));
          memory.look("goto a place");
          break;
        case 1: {
          const std::uint64_t first = machine.travels().beginning().at.progress.instructions.value;
          const std::uint64_t last = machine.travels().present().at.progress.instructions.value;
          machine.go_to(machine.travels().place_of({first + 1 + random() % (last - first - 1)}));
          memory.look("goto a count");
          break;
        }
        case 2:
        case 3: {
          const Place before = machine.travels().here();
          const std::uint64_t own = machine.own_instructions(vcpu);
          const Arrival arrival = machine.go(back(Journey::Until::Step, vcpu));
          memory.look("stepping back");
          if (arrival.reason == Arrival::Reason::Begin) break;
          ASSERT_LT(machine.travels().here(), before);
          ASSERT_GE(machine.own_instructions(vcpu) + 1, own);
          break;
        }
        case 4:
          if (machine.travels().in_past()) {
            machine.go(forward(Journey::Until::Step, vcpu));
            memory.look("stepping");
          }
          break;
        case 5:
          ASSERT_TRUE(machine.travels().return_to_present());
          memory.look("returning");
          break;
      }
      ASSERT_EQ(machine.image(), on_disk) << "the image is the present's";
    }
    ASSERT_TRUE(machine.travels().return_to_present());
    ASSERT_EQ(machine.hash(), present);
    ASSERT_EQ(machine.disk_hash(), image);
    ASSERT_EQ(machine.output().size(), said) << "the past says nothing";
  }
  EXPECT_GT(memory.repeated(), walks);
}

// The same inputs at the same places, without ever going back.
TEST_P(Travels, ThePresentGoesOnAsIfNothingHadBeen) {
  TravelOptions without = options();
  without.history = 0;
  TravellingMachine one(options()), other(without);
  for (unsigned round = 0; round < 10; ++round) {
    for (TravellingMachine* machine : {&one, &other}) {
      std::mt19937_64 same(round);
      machine->type(std::string(1, static_cast<char>('a' + same() % 26)));
      machine->run_to({(round + 1) * 50'000 + 1});
    }
    ASSERT_EQ(one.hash(), other.hash());
    one.go(back(Journey::Until::Step));
    one.go_to(one.travels().beginning());
    one.go(forward(Journey::Until::Hit));
    ASSERT_FALSE(one.travels().in_past());
    ASSERT_EQ(one.hash(), other.hash());
  }
}

// Backwards the same hits are found as forwards, in the other order.
TEST_P(Travels, HitsAreTheSameInBothDirections) {
  TravellingMachine machine(options());
  live(machine, 30);
  ASSERT_TRUE(machine.engine().breakpoints()->insert_breakpoint({machine.symbol("add_up")}));
  ASSERT_TRUE(machine.engine().watchpoints()->insert_watchpoint({machine.symbol("received")}, 8,
                                                                hypervisor::WatchKind::Write));
  std::vector<Place> forwards, backwards;
  machine.go_to(machine.travels().beginning());
  std::uint64_t breakpoints = 0;
  for (;;) {
    Journey journey = forward(Journey::Until::Hit);
    journey.passes = breakpoints;
    const Arrival arrival = machine.go(journey);
    if (arrival.reason != Arrival::Reason::Hit) break;
    const bool is_breakpoint =
        std::holds_alternative<hypervisor::exit::HardwareBreakpoint>(*arrival.hit);
    breakpoints = is_breakpoint ? std::uint64_t{1} << arrival.vcpu.value : 0;
    // A watchpoint is told of after the store; backwards, before it.
    if (!is_breakpoint) {
      const Place after = machine.travels().here();
      machine.go(back(Journey::Until::Step, arrival.vcpu));
      forwards.push_back(machine.travels().here());
      machine.go_to(after);
    } else {
      forwards.push_back(machine.travels().here());
    }
  }
  ASSERT_GT(forwards.size(), 10u);
  for (;;) {
    const Arrival arrival = machine.go(back(Journey::Until::Hit));
    if (arrival.reason != Arrival::Reason::Hit) break;
    backwards.insert(backwards.begin(), machine.travels().here());
  }
  const auto counts = [](const std::vector<Place>& places) {
    std::vector<std::uint64_t> result;
    for (const Place& place : places)
      result.push_back(place.at.progress.instructions.value);
    return result;
  };
  EXPECT_EQ(counts(forwards), counts(backwards));
}

// A debugger of a replay holds vCPUs and steps others: what the guest does is what it did.
TEST_P(Travels, AReplayFollowsItsRecording) {
  TravelOptions first = options(), second = options();
  first.record = second.replay =
      ::testing::TempDir() + "travels-" + std::to_string(::getpid()) + ".journal";
  TravellingMachine recorded(first);
  live(recorded, 40);
  recorded.end_recording();

  TravellingMachine machine(second);
  const auto switch_all = [&](hypervisor::Capability capability, bool on) {
    for (std::uint32_t v = 0; v < GetParam().vcpus; ++v)
      ASSERT_TRUE(machine.engine().vcpu({v}).set_capability(capability, on));
  };
  for (unsigned round = 0; !machine.recording_is_over(); ++round) {
    ASSERT_LT(round, 1'000'000u);
    const VcpuId chosen{static_cast<std::uint32_t>(random() % GetParam().vcpus)};
    switch_all(hypervisor::Capability::MonitorTrap, random() % 2 == 0);
    switch_all(hypervisor::Capability::MaskInterrupts, random() % 2 == 0);
    for (std::uint32_t v = 0; v < GetParam().vcpus; ++v) {
      if (v != chosen.value) machine.hold({v});
    }
    if (machine.engine().vcpu(chosen).active()) machine.release(chosen);
    if (random() % 4 == 0) machine.release({0});
    machine.run(1 + random() % 3);
    if (random() % 64 == 0) machine.go(back(Journey::Until::Step, chosen));
    ASSERT_TRUE(machine.travels().return_to_present());
  }
  EXPECT_EQ(machine.hash(), recorded.hash());
  EXPECT_EQ(machine.disk_hash(), recorded.disk_hash());
  ::unlink(first.record.c_str());
}

// A past that has room for little is a short one, and as true.
TEST_P(Travels, ASmallHistoryIsShortAndTrue) {
  TravelOptions small = options();
  small.history = 1u << 20;
  TravellingMachine machine(small);
  for (unsigned round = 0; round < 10; ++round) {
    live(machine, 30);
    EXPECT_LE(machine.travels().history().bytes(), small.history);
    const std::uint64_t present = machine.hash();
    machine.go_to(machine.travels().beginning());
    const std::uint64_t then = machine.hash();
    machine.go(forward(Journey::Until::Hit));
    ASSERT_EQ(machine.hash(), present);
    machine.go_to(machine.travels().beginning());
    ASSERT_EQ(machine.hash(), then);
    ASSERT_TRUE(machine.travels().return_to_present());
    ASSERT_EQ(machine.hash(), present);
  }
}

// The machine's owner ends it while a debugger leads it back.
TEST_P(Travels, AJourneyThatIsTakenAwayWasGivenUp) {
  TravellingMachine machine(options());
  live(machine, 20);
  const std::uint64_t present = machine.hash();
  ASSERT_TRUE(machine.travels().set_out(back(Journey::Until::Hit)));
  ASSERT_TRUE(machine.travels().return_to_present());
  EXPECT_EQ(machine.hash(), present);
  const auto arrival = machine.travels().advance();
  ASSERT_TRUE(arrival && *arrival);
  EXPECT_EQ((*arrival)->reason, hypervisor::Arrival::Reason::GivenUp);
}

// What came after is forgotten: the disk's image is what the guest sees, and it goes on from there.
TEST_P(Travels, ABranchIsThePresent) {
  TravellingMachine machine(options());
  for (unsigned round = 0; round < 5; ++round) {
    live(machine, 20);
    const std::uint64_t last = machine.travels().present().at.progress.instructions.value;
    machine.go_to(machine.travels().place_of({last * 3 / 4}));
    const std::uint64_t hash = machine.hash(), disk = machine.disk_hash();
    ASSERT_TRUE(machine.travels().branch());
    EXPECT_FALSE(machine.travels().in_past());
    EXPECT_EQ(machine.hash(), hash);
    EXPECT_EQ(machine.disk_hash(), disk);
    StateHasher image;
    image.add(machine.image());
    EXPECT_EQ(image.value(), disk);
    machine.go(back(Journey::Until::Step));
    machine.go_to(machine.travels().beginning());
    machine.go(forward(Journey::Until::Hit));
    EXPECT_EQ(machine.hash(), hash);
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, Travels,
                         ::testing::Values(Setting{1, false}, Setting{1, true}, Setting{2, true},
                                           Setting{4, false}, Setting{4, true}),
                         [](const auto& setting) {
                           return std::to_string(setting.param.vcpus) +
                                  (setting.param.translated ? "Translated" : "Interpreted");
                         });

}  // namespace
}  // namespace ringside::testing
