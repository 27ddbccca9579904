#include "time/course.h"

#include <algorithm>

namespace ringside::time {
namespace {

tl::unexpected<Error> another_run() {
  return fail(ErrorCode::System,
              "the past cannot be repeated: the guest has left its recorded path");
}

}  // namespace

Place Course::here() const {
  if (!history_.in_past()) return timeline_.place();
  return {{recordable_.progress(), engine_.now()}, inputs_};
}

Place Course::place_of(InsnCount count) const {
  const Position at{{count, 0}, {}};
  return {at, timeline_.log().count_before(at)};
}

void Course::arrived_at(const History::Mark& mark) {
  inputs_ = mark.place.inputs;
  timeline_.supervise(mark.supervision);
}

void Course::go_to_mark(std::size_t index) {
  timeline_.enter_past();
  history_.go_to_mark(index);
  arrived_at(history_.mark(index));
}

void Course::go_to_cut(std::size_t index) {
  history_.go_to_cut(index);
  arrived_at(history_.cut(index));
}

void Course::go_near(const Place& target) {
  const auto last_not_behind = [&](std::size_t count, const auto& mark_of) {
    std::size_t last = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (mark_of(i).place <= target) last = i;
    }
    return last;
  };
  const std::size_t mark = last_not_behind(
      history_.marks(), [&](std::size_t i) -> auto& { return history_.mark(i); });
  if (!history_.in_past() || history_.base() != mark) {
    go_to_mark(mark);
    return;
  }
  const std::size_t cut = last_not_behind(
      history_.cuts(), [&](std::size_t i) -> auto& { return history_.cut(i); });
  const Place now = here();
  if (now > target || cut + 1 < history_.cuts() || now < history_.cut(cut).place) go_to_cut(cut);
}

// As Timeline does in a replay: nothing happens beyond the moment, and as much idle time passes
// before it as did then. Where the time of the target is zero, only its progress counts.
bool Course::approach(const Position& target, Stride stride) {
  const auto is_there = [&] {
    return recordable_.progress() == target.progress && engine_.now() >= target.time;
  };
  hypervisor::Progress limit = target.progress;
  if (stride == Stride::Part) {
    hypervisor::Progress next = recordable_.progress();
    ++next.parts;
    limit = std::min(limit, next);
  }
  recordable_.stop_at(limit);
  if (const std::optional<VirtualTime> idle = engine_.idle_until(); idle && !is_there()) {
    engine_.advance_to(target.time > engine_.now() ? std::min(*idle, target.time) : *idle);
    if (is_there()) return true;
  }
  engine_.run_slice();
  return is_there();
}

Result<bool> Course::advance(const Place& target, Stride stride) {
  const Place before = here();
  if (before.at.progress > target.at.progress) return another_run();
  bool is_there = false;
  if (inputs_ < target.inputs) {
    if (approach(timeline_.log().position_of(inputs_), stride)) {
      TRY(timeline_.repeat(inputs_));
      ++inputs_;
    }
  } else if (approach(target.at, stride)) {
    is_there = true;
  }
  if (auto lost = timeline_.take_lost_disk()) {
    // What the machine is now it never was.
    go_to_cut(0);
    return fail(std::move(*lost));
  }
  if (is_there) return true;
  constexpr unsigned kMostStalls = 4;
  const bool is_held_up = timeline_.take_disk_wait();
  stalls_ = here() == before && !is_held_up ? stalls_ + 1 : 0;
  if (stalls_ > kMostStalls) return another_run();
  return false;
}

}  // namespace ringside::time
