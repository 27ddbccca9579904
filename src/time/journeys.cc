#include "time/journeys.h"

#include <algorithm>
#include <utility>

#include "ringside/vm.h"

namespace ringside::time {
namespace {

using hypervisor::Arrival;
using hypervisor::Journey;
using Stride = Course::Stride;

// Instructions that are gone through one by one.
constexpr std::uint64_t kStretch = 1000;
// More than halving a history between two marks brings.
constexpr std::size_t kMostCuts = 64;

std::uint64_t instructions(const Place& place) { return place.at.progress.instructions.value; }

}  // namespace

class Journeys::Base : public Travels::Task {
 public:
  explicit Base(Travels& travels)
      : travels_(travels), course_(travels.course_), history_(travels.history_) {}

 protected:
  using Hits = Travels::Hits;
  using Part = Travels::Part;
  static constexpr bool kOnTheWay = false, kOver = true;
  void treat_hits(Hits hits) { travels_.hits_ = hits; }
  std::optional<Hit>& noted() { return travels_.noted_; }
  // The last mark before a place, if there is one.
  std::optional<std::size_t> mark_before(const Place& place) const {
    std::optional<std::size_t> last;
    for (std::size_t i = 0; i < history_.marks() && history_.mark(i).place < place; ++i)
      last = i;
    return last;
  }
  // Towards `to`, with cuts in between that lie the closer the nearer they are to it. Whether it is
  // there.
  Result<bool> advance_with_cuts(const Place& to) {
    const std::uint64_t now = instructions(course_.here());
    if (!next_cut_ && instructions(to) - now > kStretch && history_.cuts() < kMostCuts)
      next_cut_ = course_.place_of({now + (instructions(to) - now) / 2});
    if (!next_cut_) return course_.advance(to);
    if (!TRY(course_.advance(*next_cut_))) return false;
    course_.add_cut();
    next_cut_.reset();
    return false;
  }
  bool end_at_beginning() {
    if (travels_.in_past() || history_.marks() > 1) course_.go_to_mark(0);
    arrival.reason = Reason::Begin;
    return kOver;
  }
  void end_at_hit(const Hit& hit) {
    arrival.reason = Reason::Hit;
    arrival.vcpu = hit.vcpu;
    arrival.hit = hit.exit;
  }
  void end_at_step(VcpuId vcpu) {
    arrival.reason = Reason::Stepped;
    arrival.vcpu = vcpu;
  }

  Travels& travels_;
  Course& course_;
  History& history_;
  std::optional<Place> next_cut_;
};

// ---- To a place

class Journeys::ToPlace final : public Base {
 public:
  ToPlace(Travels& travels, const Place& target) : Base(travels), target_(target) {
    arrival.reason = Reason::Stepped;
  }
  Result<bool> step() override {
    if (!near_) {
      treat_hits(Hits::Ignored);
      course_.go_near(target_);
      near_ = true;
      return kOnTheWay;
    }
    return advance_with_cuts(target_);
  }

 private:
  Place target_;
  bool near_ = false;
};

// ---- Back to a hit

// One history between two marks after the other, from the present on: the last hit in it counts.
class Journeys::BackToHit final : public Base {
 public:
  explicit BackToHit(Travels& travels)
      : Base(travels), start_(course_.here()), to_(start_), mark_(mark_before(start_)) {}
  // Of the one watchpoint of the Travels' own, which finds only writes to RAM.
  BackToHit(Travels& travels, Gpa address, std::uint64_t size) : BackToHit(travels) {
    watched_ = {address, size};
    travels_.own_watch_ = address;
    auto* const points = travels_.engine_.physical_watchpoints();
    (void)points->insert_physical_watchpoint(address, size, hypervisor::WatchKind::Write);
  }
  ~BackToHit() override {
    if (!watched_) return;
    travels_.own_watch_.reset();
    (void)travels_.engine_.physical_watchpoints()->remove_physical_watchpoint(
        watched_->first, watched_->second, hypervisor::WatchKind::Write);
  }

  Result<bool> step() override {
    if (settle_) return settle_->step();
    if (!mark_) return end_at_beginning();
    if (!entered_) {
      if (watched_ && !history_.changed_after(*mark_, watched_->first, watched_->second)) {
        go_before();
        return kOnTheWay;
      }
      course_.go_to_mark(*mark_);
      entered_ = true;
      noted().reset();
      treat_hits(Hits::Noted);
    }
    if (!TRY(advance_with_cuts(to_))) return kOnTheWay;
    if (!noted() || noted()->before.at.progress >= start_.at.progress) {
      go_before();
      return kOnTheWay;
    }
    end_at_hit(*noted());
    settle_.emplace(travels_, noted()->before);
    return kOnTheWay;
  }

 private:
  void go_before() {
    to_ = history_.mark(*mark_).place;
    mark_ = *mark_ == 0 ? std::nullopt : std::optional(*mark_ - 1);
    entered_ = false;
  }

  const Place start_;
  Place to_;
  std::optional<std::size_t> mark_;
  bool entered_ = false;
  std::optional<std::pair<Gpa, std::uint64_t>> watched_;
  std::optional<ToPlace> settle_;
};

// ---- Back a step

// A stretch of the run is narrowed down to where the vCPU did something last, and gone through part
// by part. The parts are remembered, so that the steps before cost no more than their distance to
// the last cut.
class Journeys::BackAStep final : public Base {
 public:
  BackAStep(Travels& travels, VcpuId vcpu) : Base(travels), vcpu_(vcpu), to_(course_.here()) {}

  Result<bool> step() override {
    switch (phase_) {
      case Phase::Begin:
        begin();
        break;
      case Phase::Marks:
        if (!choose_mark()) return end_at_beginning();
        break;
      case Phase::Pass:
        if (TRY(advance_with_cuts(to_))) choose_cut(course_.steps_of(vcpu_));
        break;
      case Phase::Parts:
        TRY(go_through_parts());
        break;
      case Phase::Settle:
        return settle_->step();
    }
    return kOnTheWay;
  }

 private:
  enum class Phase : std::uint8_t { Begin, Marks, Pass, Parts, Settle };

  void begin() {
    treat_hits(Hits::Ignored);
    phase_ = Phase::Marks;
    if (!travels_.in_past()) return;
    if (!travels_.parts_.empty()) {
      if (to_ > travels_.parts_.front().before && to_ <= parts_end_of(travels_)) {
        if (choose_part()) return;
        choose_cut_before_parts();
        return;
      }
      travels_.parts_.clear();
    }
    if (history_.cut(0).place < to_) choose_cut(course_.steps_of(vcpu_));
  }
  // It did nothing since they begin. The cut that they began at may be gone: whoever has been
  // elsewhere in between has made others.
  void choose_cut_before_parts() {
    to_ = travels_.parts_.front().before;
    choose_cut(travels_.parts_steps_[vcpu_.value]);
  }
  static Place parts_end_of(const Travels& travels) { return travels.parts_.back().before; }

  // The history between marks in which the vCPU did something last.
  bool choose_mark() {
    std::optional<std::size_t> mark = mark_before(to_);
    while (mark && *mark + 1 < history_.marks() && history_.mark(*mark + 1).place <= to_ &&
           history_.mark(*mark).steps == history_.mark(*mark + 1).steps) {
      to_ = history_.mark(*mark).place;
      mark = *mark == 0 ? std::nullopt : std::optional(*mark - 1);
    }
    if (!mark) return false;
    course_.go_to_mark(*mark);
    phase_ = Phase::Pass;
    return true;
  }

  // The last cut before which the vCPU had not done all that it had at `to_`, where it has `steps`.
  void choose_cut(std::uint64_t steps) {
    std::size_t cut = history_.cuts();
    while (cut > 0 && (history_.cut(cut - 1).place >= to_ ||
                       history_.cut(cut - 1).steps[vcpu_.value] >= steps))
      --cut;
    if (cut == 0) {
      to_ = std::min(to_, history_.cut(0).place);
      travels_.parts_.clear();
      phase_ = Phase::Marks;
      return;
    }
    if (cut < history_.cuts()) to_ = std::min(to_, history_.cut(cut).place);
    course_.go_to_cut(cut - 1);
    next_cut_.reset();
    const bool is_short = instructions(to_) - instructions(course_.here()) <= kStretch;
    phase_ = is_short || history_.cuts() >= kMostCuts ? Phase::Parts : Phase::Pass;
    travels_.parts_.clear();
    travels_.parts_steps_ = history_.cut(cut - 1).steps;
    if (phase_ == Phase::Parts) treat_hits(Hits::Noted);
  }

  Result<void> go_through_parts() {
    constexpr unsigned kAtATime = 256;
    const unsigned vcpus = travels_.engine_.vcpu_count();
    bool there = false;
    for (unsigned i = 0; i < kAtATime && !there; ++i) {
      Part part{course_.here(), {}, {}};
      std::vector<std::uint64_t>& before = steps_;
      before.resize(vcpus);
      for (std::uint32_t v = 0; v < vcpus; ++v)
        before[v] = course_.steps_of({v});
      noted().reset();
      there = TRY(course_.advance(to_, Stride::Part));
      for (std::uint32_t v = 0; v < vcpus; ++v) {
        if (course_.steps_of({v}) != before[v]) part.mover = VcpuId{v};
      }
      if (noted() && std::holds_alternative<hypervisor::exit::HardwareBreakpoint>(noted()->exit))
        noted().reset();
      part.hit = noted();
      // What no vCPU did may be long (a device's work): nobody looks for its places.
      if (!part.mover && !part.hit && !travels_.parts_.empty()) break;
      travels_.parts_.push_back(std::move(part));
    }
    if (!there) return {};
    travels_.parts_.push_back({to_, {}, {}});
    treat_hits(Hits::Ignored);
    if (!choose_part()) choose_cut_before_parts();
    return {};
  }

  bool choose_part() {
    const auto& parts = travels_.parts_;
    for (std::size_t i = parts.size(); i > 0; --i) {
      const Part& part = parts[i - 1];
      if (part.before >= to_ || part.mover != vcpu_) continue;
      if (part.hit) {
        end_at_hit(*part.hit);
      } else {
        end_at_step(vcpu_);
      }
      settle_.emplace(travels_, part.before);
      phase_ = Phase::Settle;
      return true;
    }
    return false;
  }

  const VcpuId vcpu_;
  Place to_;
  Phase phase_ = Phase::Begin;
  std::vector<std::uint64_t> steps_;
  std::optional<ToPlace> settle_;
};

// ---- Forward

class Journeys::Forward final : public Base {
 public:
  Forward(Travels& travels, const Journey& journey) : Base(travels), journey_(journey) {
    treat_hits(Hits::Stop);
    steps_ = course_.steps_of(journey_.vcpu);
  }

  Result<bool> step() override {
    arrival.reason = Reason::Present;
    if (!travels_.in_past()) return kOver;
    const bool slices = journey_.until == Journey::Until::Hit;
    const bool there =
        TRY(course_.advance(travels_.present(), slices ? Stride::Slice : Stride::Part));
    if (noted()) {
      end_at_hit(*noted());
      return kOver;
    }
    if (!slices && course_.steps_of(journey_.vcpu) != steps_) {
      steps_ = course_.steps_of(journey_.vcpu);
      if (is_over()) {
        end_at_step(journey_.vcpu);
        return kOver;
      }
    }
    return there;
  }

 private:
  bool is_over() const {
    if (journey_.until == Journey::Until::Step) return true;
    const auto rip = travels_.engine_.vcpu(journey_.vcpu).read_register(x86::Register::Rip);
    const Gva now{rip ? rip->as_u64() : 0};
    return !rip || now < journey_.range_start || now >= journey_.range_end;
  }

  const Journey journey_;
  std::uint64_t steps_ = 0;
};

std::unique_ptr<Journeys::Task> Journeys::to_place(Travels& travels, const Place& place) {
  return std::make_unique<ToPlace>(travels, place);
}
std::unique_ptr<Journeys::Task> Journeys::back_to_hit(Travels& travels) {
  return std::make_unique<BackToHit>(travels);
}
std::unique_ptr<Journeys::Task> Journeys::back_to_write(Travels& travels, Gpa address,
                                                        std::uint64_t size) {
  return std::make_unique<BackToHit>(travels, address, size);
}
std::unique_ptr<Journeys::Task> Journeys::back_a_step(Travels& travels, VcpuId vcpu) {
  return std::make_unique<BackAStep>(travels, vcpu);
}
std::unique_ptr<Journeys::Task> Journeys::forward(Travels& travels, const Journey& journey) {
  return std::make_unique<Forward>(travels, journey);
}

}  // namespace ringside::time
