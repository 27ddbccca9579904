// A run that is stopped, stepped or looked at is the same run: at every count within a block, and
// with breakpoints and watchpoints that come and go.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "support/host.h"
#include "translator/alike.h"
#include "translator/bare_twins.h"
#include "translator/code_writer.h"
#include "translator/first_difference.h"
#include "translator/random_insn.h"
#include "translator/random_program.h"

namespace ringside::testing {
namespace {

constexpr std::uint64_t kInstructions = 3000;

class Stops : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override { SKIP_IF(no_translator()); }
  static Scene program(std::uint64_t seed) { return random_program(GetParam(), 1000 + seed); }
};

std::string alone(const Scene& scene, InsnCount total) {
  const MakeTwins make = [&] { return std::make_unique<BareTwins>(scene); };
  const auto twins = make();
  twins->run_to(total);
  return twins->difference().empty() ? "" : first_difference(make, {0}, total);
}

// Each count is where a run that has not stopped before stops, and goes on from.
TEST_P(Stops, AtEveryCount) {
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    const Scene scene = program(seed);
    for (std::uint64_t count = 1; count <= 300; ++count) {
      BareTwins twins(scene);
      twins.run_to({count});
      ASSERT_TRUE(alike(twins.difference())) << scene.name << ", after " << count << "\n"
                                             << alone(scene, {count});
      twins.run_to({count + 300});
      ASSERT_TRUE(alike(twins.difference())) << scene.name << ", " << count << " and 300 more";
    }
  }
}

// The translated run stops again and again, the interpreted one does not.
TEST_P(Stops, InOneOfTheTwo) {
  Random random(5);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Scene scene = program(seed);
    BareTwins twins(scene);
    twins.machine(Side::Interpreted).run_to({kInstructions});
    const std::uint64_t longest = 1 + random() % 60;
    for (std::uint64_t count = 0; count < kInstructions;) {
      count = std::min(kInstructions, count + 1 + random() % longest);
      twins.machine(Side::Translated).run_to({count});
    }
    ASSERT_TRUE(alike(twins.difference())) << scene.name << ", stops of at most " << longest << "\n"
                                           << alone(scene, {kInstructions});
  }
}

// Steps of a debugger between longer runs: the same on both, and the same as without them.
TEST_P(Stops, AndStepsInBetween) {
  Random random(6);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Scene scene = program(seed);
    BareTwins twins(scene);
    BareMachine& stepped = twins.machine(Side::Translated);
    twins.machine(Side::Interpreted).run_to({kInstructions});
    bool goes_on = true;
    while (goes_on && stepped.engine().total_instructions().value < kInstructions - 40) {
      const std::uint64_t now = stepped.engine().total_instructions().value;
      goes_on = stepped.run_to({std::min(kInstructions - 40, now + random() % 100)});
      for (std::uint64_t steps = random() % 12; goes_on && steps > 0; --steps)
        goes_on = stepped.step(BareMachine::Interrupts::Taken);
    }
    stepped.run_to({kInstructions});
    ASSERT_TRUE(alike(twins.difference())) << scene.name << "\n" << alone(scene, {kInstructions});
  }
}

// What a debugger may set on a vCPU that is out of the guest.
class Points {
 public:
  Points(BareMachine& machine, std::uint64_t seed) : machine_(machine), random_(seed) {}

  // Somewhere that the program has come by, or that it uses.
  void change(std::uint64_t pc) {
    places_.push_back(pc);
    const std::uint64_t at = places_[random_() % places_.size()] + random_() % 3;
    const std::uint64_t data = stage::kData + random_() % (2 * kPageSize);
    auto& engine = machine_.engine();
    switch (random_() % 4) {
      case 0:
        toggle(breakpoints_, at, [&](bool set) {
          (void)(set ? engine.breakpoints()->insert_breakpoint({at})
                     : engine.breakpoints()->remove_breakpoint({at}));
        });
        break;
      case 1:
        toggle(physical_, at, [&](bool set) {
          auto& points = *engine.physical_breakpoints();
          (void)(set ? points.insert_physical_breakpoint({at})
                     : points.remove_physical_breakpoint({at}));
        });
        break;
      case 2:
        toggle(watched_, data, [&](bool set) {
          auto& points = *engine.watchpoints();
          (void)(set ? points.insert_watchpoint({data}, 4, hypervisor::WatchKind::Access)
                     : points.remove_watchpoint({data}, 4, hypervisor::WatchKind::Access));
        });
        break;
      default:
        clear();
        break;
    }
  }
  void clear() {
    auto& engine = machine_.engine();
    for (const std::uint64_t at : breakpoints_)
      (void)engine.breakpoints()->remove_breakpoint({at});
    for (const std::uint64_t at : physical_)
      (void)engine.physical_breakpoints()->remove_physical_breakpoint({at});
    for (const std::uint64_t at : watched_)
      (void)engine.watchpoints()->remove_watchpoint({at}, 4, hypervisor::WatchKind::Access);
    breakpoints_.clear();
    physical_.clear();
    watched_.clear();
  }
  std::uint64_t next(std::uint64_t most) { return random_() % most; }

 private:
  template <typename Set>
  static void toggle(std::vector<std::uint64_t>& set, std::uint64_t at, Set apply) {
    const auto found = std::find(set.begin(), set.end(), at);
    apply(found == set.end());
    if (found == set.end()) {
      set.push_back(at);
    } else {
      set.erase(found);
    }
  }

  BareMachine& machine_;
  Random random_;
  std::vector<std::uint64_t> places_{stage::kCode}, breakpoints_, physical_, watched_;
};

// The same points at the same counts on both: the same hits. And a machine that nobody looks at
// does the same.
TEST_P(Stops, AndPointsThatComeAndGo) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Scene scene = program(seed);
    BareTwins twins(scene);
    BareMachine undisturbed(scene, translated());
    undisturbed.run_to({kInstructions});
    for (const Side side : {Side::Interpreted, Side::Translated}) {
      BareMachine& machine = twins.machine(side);
      Points points(machine, seed);
      bool goes_on = true;
      for (std::uint64_t count = 0; goes_on && count < kInstructions;) {
        count = std::min(kInstructions, count + 1 + points.next(120));
        goes_on = machine.run_to({count});
        points.change(machine.engine().vcpu({0}).state()->rip & 0xffffffff);
        if (goes_on && points.next(6) == 0 && count < kInstructions) {
          goes_on = machine.step(BareMachine::Interrupts::Taken);
          count = machine.engine().total_instructions().value;
        }
      }
      machine.run_to({kInstructions});
    }
    ASSERT_TRUE(alike(twins.difference())) << scene.name << "\n" << alone(scene, {kInstructions});
    BareMachine& looked_at = twins.machine(Side::Translated);
    ASSERT_TRUE(alike(processor_difference(undisturbed.engine(), looked_at.engine())))
        << scene.name;
    ASSERT_TRUE(alike(memory_difference(undisturbed.ram(), looked_at.ram()))) << scene.name;
  }
}

// Back to an earlier state, with other code in memory than what was translated last. Both begin
// there without translations of addresses, which are not saved.
TEST_P(Stops, AndEarlierStates) {
  Random random(8);
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Scene scene = program(seed);
    BareTwins twins(scene);
    const std::uint64_t first = 1 + random() % 1500, second = first + 1 + random() % 1500;
    twins.run_to({first});
    const BareMachine::Saved saved = twins.machine(Side::Interpreted).save();
    for (unsigned times = 0; times < 3; ++times) {
      twins.run_to({second});
      for (const Side side : {Side::Interpreted, Side::Translated})
        twins.machine(side).load(saved);
      twins.run_to({second});
      ASSERT_TRUE(alike(twins.difference()))
          << scene.name << ", from " << first << " to " << second << ", time " << times;
    }
  }
}

// A breakpoint that comes when both are hot: on a page that host code goes to from another one, by
// a call and by IRETQ, which its handler executes.
TEST(StopsOnPages, AtBreakpointsOnThePageThatHotCodeCalls) {
  constexpr std::uint64_t kCallee = stage::kCode + kPageSize + 0x10;
  Scene scene = make_stage(Setting::Kernel64);
  CodeWriter callee(scene.memory, CodeMode::Code64, kCallee);
  callee.bytes({0xff, 0xc3, 0x01, 0xd9, 0xc3});  // inc ebx; add ecx, ebx; ret
  CodeWriter caller(scene.memory, CodeMode::Code64, stage::kCode);
  caller.set_target(caller.call(), kCallee);
  caller.bytes({0x48, 0x8d, 0x05});  // lea rax, [behind IRETQ]
  const std::uint64_t behind = caller.at();
  caller.number(0, 4);
  // push rax; mov rsi, rsp; push SS; push rsi; pushfq; push CS; push callee; iretq
  caller.bytes({0x50, 0x48, 0x89, 0xe6, 0x6a, stage::kKernelData, 0x56, 0x9c, 0x6a,
                stage::kKernelCode, 0x68});
  caller.number(kCallee, 4);
  caller.bytes({0x48, 0xcf});
  const std::uint64_t distance = caller.at() - behind - 4;
  std::memcpy(&scene.memory[behind], &distance, 4);
  EXPECT_TRUE(caller.set_target(caller.jump(), stage::kCode));
  BareTwins twins(scene);
  twins.run_to({1000});
  for (const Side side : {Side::Interpreted, Side::Translated}) {
    auto& breakpoints = *twins.engine(side).breakpoints();
    EXPECT_TRUE(breakpoints.insert_breakpoint({kCallee + 2}));
    twins.machine(side).run_to({1100});
    EXPECT_TRUE(breakpoints.remove_breakpoint({kCallee + 2}));
    twins.machine(side).run_to({1200});
  }
  EXPECT_GT(twins.machine(Side::Translated).events().size(), 5u);
  EXPECT_TRUE(alike(twins.difference()));
}

// A step that takes no interrupt is another run, and the same other run on both.
TEST_P(Stops, AndStepsThatTakeNoInterrupts) {
  Random random(7);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Scene scene = program(seed);
    BareTwins twins(scene);
    for (std::uint64_t count = 0; count < kInstructions;) {
      count += 1 + random() % 200;
      const std::uint64_t steps = random() % 10;
      for (const Side side : {Side::Interpreted, Side::Translated}) {
        BareMachine& machine = twins.machine(side);
        bool goes_on = machine.run_to({count});
        for (std::uint64_t i = 0; goes_on && i < steps; ++i)
          goes_on = machine.step(BareMachine::Interrupts::Masked);
      }
      ASSERT_TRUE(alike(twins.difference())) << scene.name << ", after " << count;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, Stops, ::testing::ValuesIn(kSettings),
                         [](const auto& setting) { return std::string(name_of(setting.param)); });

}  // namespace
}  // namespace ringside::testing
