#include "translator/first_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "translator/insn_text.h"

namespace ringside::testing {
namespace {

// So many instructions before the difference are looked at one at a time.
constexpr std::uint64_t kLastSteps = 48;
// Where the interval is longer, it is first made shorter by runs that stop so often.
constexpr std::uint64_t kLong = 2048, kPieces = 16;

class NeverStops final : public hypervisor::StopFilter {
 public:
  bool wants_stop(VcpuId, const hypervisor::Exit&) override { return false; }
};

// The same run, in which blocks end before an address. A breakpoint changes no step of it. (What
// begins at one is interpreted.)
MakeTwins with_cut(const MakeTwins& make, Gpa address) {
  return [make, address] {
    static NeverStops never;
    auto twins = make();
    for (const Side side : {Side::Interpreted, Side::Translated}) {
      soft::SoftEngine& engine = twins->engine(side);
      engine.filtered_stops()->set_filter(&never);
      (void)engine.physical_breakpoints()->insert_physical_breakpoint(address);
    }
    return twins;
  };
}

std::string difference_at(const MakeTwins& make, std::uint64_t count) {
  const auto twins = make();
  twins->run_to({count});
  return twins->difference();
}

struct Interval {
  std::uint64_t equal, different;
};

// By runs that stop at some counts between. The same interval if they see no difference, which may
// need a long run of host code to show itself.
Interval coarsely(const MakeTwins& make, Interval within) {
  while (within.different - within.equal > kLong) {
    const auto twins = make();
    const std::uint64_t length = within.different - within.equal;
    twins->run_to({within.equal});
    if (!twins->difference().empty()) return within;
    std::uint64_t equal = within.equal;
    std::optional<std::uint64_t> different;
    for (std::uint64_t i = 1; i <= kPieces && !different; ++i) {
      const std::uint64_t count = within.equal + length * i / kPieces;
      twins->run_to({count});
      if (twins->difference().empty()) {
        equal = count;
      } else {
        different = count;
      }
    }
    if (!different) return within;
    within = {equal, *different};
  }
  return within;
}

// By runs that go to one count without a stop.
Interval finely(const MakeTwins& make, Interval within) {
  while (within.different - within.equal > 1) {
    const std::uint64_t middle = within.equal + (within.different - within.equal) / 2;
    (difference_at(make, middle).empty() ? within.equal : within.different) = middle;
  }
  return within;
}

// One instruction on the way to the difference, as the interpreter finds it.
struct Step {
  std::uint64_t count = 0;  // of instructions before it
  VcpuId vcpu;
  x86::CpuState before;
  InsnText insn;

  std::string text() const {
    return fmt::format("vCPU {}, {} instructions before it, {:x}: {}", vcpu.value, count,
                       insn.linear, insn.text);
  }
};

// The last instructions before `count`, one at a time.
std::vector<Step> last_steps(const MakeTwins& make, std::uint64_t count) {
  const auto twins = make();
  soft::SoftEngine& engine = twins->engine(Side::Interpreted);
  std::vector<Step> steps;
  for (std::uint64_t at = count - std::min(count, kLastSteps); at < count; ++at) {
    twins->run_to({at});
    std::vector<Step> next;  // of each vCPU
    std::vector<std::uint64_t> before;
    for (std::uint32_t i = 0; i < engine.vcpu_count(); ++i) {
      const x86::CpuState state = *engine.vcpu({i}).state();
      next.push_back({at, {i}, state, next_insn(engine, {i}, state)});
      before.push_back(engine.vcpu({i}).instructions()->value);
    }
    twins->run_to({at + 1});
    for (Step& step : next) {
      if (engine.vcpu(step.vcpu).instructions()->value != before[step.vcpu.value])
        steps.push_back(std::move(step));
    }
  }
  return steps;
}

// The same run with blocks that end behind a step; as it is where they do so anyway.
MakeTwins ending_behind(const MakeTwins& make, const Step& step) {
  if (!step.insn.physical || step.insn.length == 0) return make;
  const Gpa end = *step.insn.physical + step.insn.length;
  return end.value % kPageSize == 0 ? make : with_cut(make, end);
}

// The first of the steps right behind which the two are different, if blocks end there, and the run
// in which they are. Nothing: they are different only where blocks end nowhere else.
struct Guilty {
  std::size_t index;
  std::string what;
  MakeTwins make;
};
std::optional<Guilty> find_guilty(const MakeTwins& make, const std::vector<Step>& steps) {
  // A long instruction, which takes time like several, makes the run that it is in shorter, so that
  // its last block may not be run whole: the run stops before the first of the steps, and begins
  // another one, if that does not hide the difference.
  std::uint64_t stop = steps.front().count;
  const auto try_step = [&](std::size_t index) {
    Guilty tried{index, "", ending_behind(make, steps[index])};
    const auto twins = tried.make();
    if (stop != 0) twins->run_to({stop});
    twins->run_to({steps[index].count + 1});
    tried.what = twins->difference();
    return tried;
  };
  Guilty guilty = try_step(steps.size() - 1);
  if (guilty.what.empty() && stop != 0) {
    stop = 0;
    guilty = try_step(steps.size() - 1);
  }
  if (guilty.what.empty()) return std::nullopt;
  for (std::size_t first = 0; first < guilty.index;) {
    const std::size_t middle = first + (guilty.index - first) / 2;
    Guilty tried = try_step(middle);
    if (tried.what.empty()) {
      first = middle + 1;
    } else {
      guilty = std::move(tried);
    }
  }
  // A block that was left early, by a fault, is not begun where the run stops soon after: then the
  // steps behind the guilty one are innocent.
  constexpr std::size_t kMostBehind = 12;
  for (std::size_t i = 1, last = guilty.index; i <= std::min(last, kMostBehind); ++i) {
    Guilty tried = try_step(last - i);
    if (!tried.what.empty()) guilty = std::move(tried);
  }
  return guilty;
}

std::string list(const std::vector<Step>& steps, std::size_t marked) {
  constexpr std::size_t kShownBefore = 16;
  std::string text;
  for (std::size_t i = marked - std::min(marked, kShownBefore); i < steps.size(); ++i)
    text += fmt::format("{} {}\n", i == marked ? "->" : "  ", steps[i].text());
  return text + "registers before the marked one:" + registers_text(steps[marked].before);
}

std::string search(const MakeTwins& make, Interval within, unsigned cuts_left) {
  const Interval found = finely(make, coarsely(make, within));
  const std::string what = difference_at(make, found.different);
  if (what.empty()) return "a difference that does not come again when the run is begun anew\n";
  std::string text = fmt::format("alike after {} instructions, different after {}\n", found.equal,
                                 found.different);
  const std::vector<Step> steps = last_steps(make, found.different);
  if (steps.empty()) return text + "no vCPU executed an instruction there\n" + what;
  const std::optional<Guilty> guilty = find_guilty(make, steps);
  if (!guilty) {
    return text + "only with blocks that end nowhere else: the fault may lie in any of the last\n" +
           list(steps, steps.size() - 1) + "different after it:\n" + what;
  }
  const Step& step = steps[guilty->index];
  // Shorter blocks may bring the difference earlier, in the same code or elsewhere.
  if (cuts_left > 0 && step.count > 0 && !difference_at(guilty->make, step.count).empty()) {
    return text + fmt::format("earlier, if blocks are shorter at {:x}:\n", step.insn.linear) +
           search(guilty->make, {0, step.count}, cuts_left - 1);
  }
  return text + list(steps, guilty->index) + "different after it:\n" + guilty->what;
}

}  // namespace

std::string first_difference(const MakeTwins& make, InsnCount equal, InsnCount different) {
  constexpr unsigned kMostCuts = 4;
  return search(make, {equal.value, different.value}, kMostCuts);
}

}  // namespace ringside::testing
