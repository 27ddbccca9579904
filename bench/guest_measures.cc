// How fast the guest runs while a debugger is about. In the guest's work per second of the
// program's processor time, which other work on the machine does not change.
#include <algorithm>
#include <cstdint>
#include <functional>

#include "clock.h"
#include "measure.h"
#include "target.h"

namespace ringside::bench {
namespace {

// What the guest counts.
using Progress = std::function<std::uint64_t(Target&)>;

std::uint64_t rounds(Target& target) { return target.client->read_u64(target["rounds"]); }
std::uint64_t slots(Target& target) { return target.client->registers()[testing::kRcx]; }

// With the debugger attached and silent.
double attached_rate(Target& target, const Progress& progress, double seconds) {
  const pid_t process = target.process->pid();
  const std::uint64_t before = progress(target);
  const double from = processor_time(process);
  target.client->resume();
  let_run(seconds);
  target.client->stop();
  const double used = processor_time(process) - from;
  return static_cast<double>(progress(target) - before) / used;
}

// The same with nobody attached.
double detached_rate(Target& target, const Progress& progress, double seconds) {
  const pid_t process = target.process->pid();
  const std::uint64_t before = progress(target);
  const double from = processor_time(process);
  target.client->detach();
  let_run(seconds);
  reattach(target);
  const double used = processor_time(process) - from;
  return static_cast<double>(progress(target) - before) / used;
}

Values loop(Subject subject, double seconds) {
  constexpr double kInstructionsPerRound = 10;
  Target target = start(subject, {"mix"});
  attached_rate(target, rounds, 0.1);
  return {attached_rate(target, rounds, seconds * 2) * kInstructionsPerRound / 1e6};
}

// By how many percent `slower` is slower; the best of several turns of both, so that what disturbs
// the machine now and then counts for neither.
template <typename Plain, typename Slower>
double cost(int turns, Plain plain, Slower slower) {
  double best_plain = 0, best_slower = 0;
  for (int turn = 0; turn < turns; ++turn) {
    best_plain = std::max(best_plain, plain());
    best_slower = std::max(best_slower, slower());
  }
  return std::max(0.0, (1 - best_slower / best_plain) * 100);
}

Values idle_debugger(Subject subject, double seconds) {
  Target target = start(subject, {"mix"});
  attached_rate(target, rounds, 0.1);
  return {cost(
      4, [&] { return detached_rate(target, rounds, seconds); },
      [&] { return attached_rate(target, rounds, seconds); })};
}

// One in each slot of sled.S, on the instruction that is always jumped over: all in pages, most in
// the cache lines, that the guest runs through.
std::vector<std::uint64_t> sled_addresses(const Target& target) {
  std::vector<std::uint64_t> result;
  std::uint64_t address = target["sled"] + target["slot_unused"];
  for (std::uint64_t stretch = 0; stretch < target["stretches"]; ++stretch) {
    for (std::uint64_t i = 0; i < target["slots_in_stretch"]; ++i, address += target["slot_size"])
      result.push_back(address);
    address += target["slot_size"];
  }
  return result;
}

Values breakpoints(Subject subject, double seconds) {
  Target target = start(subject, {"sled"});
  const std::vector<std::uint64_t> addresses = sled_addresses(target);
  const auto rate_of_slots = [&] {
    attached_rate(target, slots, 0.1);
    return attached_rate(target, slots, seconds);
  };
  double insertion = 0;
  const double percent = cost(3, rate_of_slots, [&] {
    const auto from = Clock::now();
    for (const std::uint64_t address : addresses)
      target.client->insert(address);
    insertion = since(from);
    const double result = rate_of_slots();
    for (const std::uint64_t address : addresses)
      target.client->remove(address);
    return result;
  });
  return {static_cast<double>(addresses.size()) / insertion, percent};
}

}  // namespace

std::vector<Measure> guest_measures() {
  return {
      {"loop",
       "the guest's own speed, per second of processor time",
       {{"loop, free running", "MIPS", Better::Higher, {0.7, {}, {}}}},
       loop},
      {"breakpoints",
       "10,000 breakpoints in the code that the guest runs, never hit",
       {{"breakpoints set", "/s", Better::Higher, {}},
        {"cost of 10,000 breakpoints", "%", Better::Lower, {0, {}, 5}}},
       breakpoints},
      {"idle",
       "a debugger attached and idle, against none",
       {{"cost of an idle debugger", "%", Better::Lower, {0, {}, 2}}},
       idle_debugger},
  };
}

}  // namespace ringside::bench
