#include "time/travels.h"

#include <chrono>
#include <utility>

#include "time/journeys.h"

namespace ringside::time {

using hypervisor::Arrival;
using hypervisor::Journey;

Travels::Travels(hypervisor::Engine& engine, Timeline& timeline, History& history,
                 std::uint64_t between_marks)
    : engine_(engine),
      recordable_(*engine.recordable()),
      rewindable_(*engine.rewindable()),
      timeline_(timeline),
      history_(history),
      between_marks_(between_marks),
      course_(engine, timeline, history) {}

Travels::~Travels() { rewindable_.travel(nullptr); }

// ---- The present

void Travels::begin() {
  history_.begin(timeline_.place(), timeline_.supervision());
  timeline_.log().drop_before(history_.mark(0).place.inputs);
  next_mark_ = recordable_.total_instructions().value + between_marks_;
}

// By the host's time as well, because what matters is how long it takes to get here from the last
// mark. Where marks are, no guest can see.
void Travels::slice_over() {
  constexpr std::chrono::milliseconds kLongest{50};
  const auto now = std::chrono::steady_clock::now();
  const std::uint64_t count = recordable_.total_instructions().value;
  const bool is_long_ago =
      now - marked_ >= kLongest && count + between_marks_ / 10 * 9 >= next_mark_;
  if (count < next_mark_ && !is_long_ago) return;
  next_mark_ = count + between_marks_;
  history_.add_mark(timeline_.place(), timeline_.supervision());
  timeline_.log().drop_before(history_.mark(0).place.inputs);
  marked_ = std::chrono::steady_clock::now();
}

void Travels::mark_present() {
  const Place now = timeline_.place();
  if (history_.is_lost() || history_.mark(history_.marks() - 1).place != now)
    history_.add_mark(now, timeline_.supervision());
}

Place Travels::present() const {
  return in_past() ? history_.mark(history_.marks() - 1).place : timeline_.place();
}

// ---- Journeys

std::optional<std::string> Travels::why_fixed() const {
  if (!in_past()) return std::nullopt;
  return kPastIsFixed;
}

void Travels::start(std::unique_ptr<Task> task) {
  noted_.reset();
  rewindable_.travel(this);
  task_ = std::move(task);
}

Result<void> Travels::set_out(const Journey& journey) {
  if (task_) return fail(ErrorCode::Busy, "the machine is on a journey");
  if (!in_past()) mark_present();
  if (journey.direction == Journey::Direction::Forward) {
    start(Journeys::forward(*this, journey));
    rewindable_.pass_breakpoints(journey.passes);
  } else if (journey.until == Journey::Until::Hit) {
    start(Journeys::back_to_hit(*this));
  } else {
    start(Journeys::back_a_step(*this, journey.vcpu));
  }
  return {};
}

void Travels::set_out_to(const Place& place) {
  if (!in_past()) mark_present();
  start(Journeys::to_place(*this, place));
}

void Travels::set_out_to_last_write(Gpa address, std::uint64_t size) {
  if (!in_past()) mark_present();
  start(Journeys::back_to_write(*this, address, size));
}

void Travels::set_out_past_write(VcpuId vcpu) {
  Journey journey;
  journey.direction = Journey::Direction::Forward;
  journey.until = Journey::Until::Step;
  journey.vcpu = vcpu;
  start(Journeys::forward(*this, journey));
  hits_ = Hits::Ignored;
}

std::optional<Result<Arrival>> Travels::advance() {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kSlice{1};
  // The machine's owner has returned to the present, because it ends.
  if (!task_) return Arrival{Arrival::Reason::GivenUp, {}, {}, {}};
  const Clock::time_point end = Clock::now() + kSlice;
  do {
    const Result<bool> over = task_->step();
    if (!over) {
      arrived({});
      return tl::unexpected(over.error());
    }
    if (*over) return arrived(std::move(task_->arrival));
  } while (Clock::now() < end);
  return std::nullopt;
}

void Travels::end_journey() {
  task_.reset();
  hits_ = Hits::Ignored;
  rewindable_.travel(nullptr);
}

// Where the present is, it is the present.
Arrival Travels::arrived(Arrival arrival) {
  end_journey();
  if (in_past() && here() == present()) {
    const Result<void> left = leave_past();
    if (!left) arrival.words += left.error().text() + "\n";
  }
  return arrival;
}

Arrival Travels::give_up() { return arrived({Arrival::Reason::GivenUp, {}, {}, {}}); }

Result<void> Travels::return_to_present() {
  end_journey();
  if (!in_past()) return {};
  return leave_past();
}

Result<void> Travels::leave_past() {
  parts_.clear();
  history_.leave_past();
  timeline_.supervise(history_.mark(history_.marks() - 1).supervision);
  return timeline_.enter_present();
}

Result<void> Travels::branch() {
  if (!in_past()) return fail(ErrorCode::BadRequest, "the guest is in the present");
  if (timeline_.recording())
    return fail(ErrorCode::NotSupported,
                "the journal that --record writes has what came after, and cannot forget it");
  if (timeline_.replaying())
    return fail(ErrorCode::NotSupported, "a replay goes on as its journal has it");
  parts_.clear();
  const Place now = here();
  if (!history_.forget_future(now, timeline_.supervision()))
    return fail(ErrorCode::System, "a disk's image cannot be written");
  TRY(timeline_.branch(now.inputs));
  next_mark_ = now.at.progress.instructions.value + between_marks_;
  return {};
}

// ---- Hits

bool Travels::is_own(const hypervisor::Exit& exit) {
  if (hits_ == Hits::Ignored) return true;
  const auto* watch = std::get_if<hypervisor::exit::PhysicalWatchpoint>(&exit);
  return own_watch_ && watch != nullptr && watch->address == *own_watch_;
}

hypervisor::HitListener::Answer Travels::hit(VcpuId vcpu, const hypervisor::Exit& exit,
                                             hypervisor::Progress before) {
  if (hits_ == Hits::Ignored) return Answer::GoOn;
  if (own_watch_ && !is_own(exit)) return Answer::GoOn;
  noted_ = Hit{{{before, {}}, course_.here().inputs}, vcpu, exit};
  return hits_ == Hits::Stop ? Answer::EndSlice : Answer::GoOn;
}

}  // namespace ringside::time
