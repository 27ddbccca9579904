#include "time/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ringside::time {

using std::chrono::nanoseconds;

namespace {

bool anyone_in_guest(hypervisor::Vm& vm) {
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    if (vm.vcpu({i}).in_guest()) return true;
  }
  return false;
}

tl::unexpected<Error> off_the_path() {
  return fail(ErrorCode::BadRequest, "the replay has left the recorded path");
}

}  // namespace

Position Timeline::position() const { return {recordable_->total_instructions(), engine_.now()}; }

void Timeline::apply(const Input& input) {
  std::visit([this](const auto& what) { machine_.input(what); }, input);
}

Result<void> Timeline::input(const Input& input) {
  if (reader_) return {};
  end_wait(Clock::now());
  if (writer_) TRY(writer_->append({position(), input}));
  apply(input);
  return {};
}

Result<void> Timeline::prepare_slice() {
  if (!reader_) return {};
  if (stranded_) return off_the_path();
  while (const JournalEntry* entry = reader_->next()) {
    if (TRY(approach(entry->at)) == Moment::Ahead) return {};
    apply(entry->input);
    reader_->advance();
  }
  return approach_end();
}

// Lets the run come to a moment of the journal: no instruction beyond its count, and at this count
// as much idle time as there was. Whether it is there.
Result<Timeline::Moment> Timeline::approach(Position at) {
  const InsnCount total = recordable_->total_instructions();
  if (total > at.count) return off_the_path();
  recordable_->stop_at(at.count);
  if (total < at.count) return Moment::Ahead;
  if (engine_.now() < at.time) {
    // It came while the guest slept; device events that wake the guest come before it.
    const std::optional<VirtualTime> idle = engine_.idle_until();
    if (idle) engine_.advance_to(std::min(*idle, at.time));
    if (!idle && anyone_in_guest(engine_)) return off_the_path();
  }
  return engine_.now() < at.time ? Moment::Ahead : Moment::Now;
}

Result<void> Timeline::approach_end() {
  const std::optional<JournalEnd>& end = reader_->end();
  if (end && end->by == JournalEnd::By::Outside) {
    over_ = TRY(approach(end->at)) == Moment::Now;
    return {};
  }
  recordable_->stop_at(std::nullopt);
  // The guest ends the run itself, unless it is another run.
  if (end && recordable_->total_instructions() > end->at.count) return off_the_path();
  return {};
}

bool Timeline::something_due() const {
  if (!reader_) return false;
  return reader_->next() != nullptr ||
         (reader_->end() && reader_->end()->by == JournalEnd::By::Outside);
}

Result<Timeline::Ending> Timeline::finish(JournalEnd::By by, std::uint64_t hash) {
  if (!has_journal()) return Ending::AsItShould;
  const JournalEnd end{position(), by, hash};
  if (writer_) {
    TRY(writer_->finish(end));
    return Ending::AsItShould;
  }
  const std::optional<JournalEnd>& recorded = reader_->end();
  if (!recorded) return Ending::NothingToCompare;
  if (recorded->at.count == end.at.count && recorded->hash == end.hash) return Ending::AsItShould;
  return fail(ErrorCode::BadRequest,
              fmt::format("the replay differs from the recording: it ended after {} instructions "
                          "with hash {:016x}, the recording after {} with {:016x}",
                          end.at.count.value, end.hash, recorded->at.count.value, recorded->hash));
}

std::optional<nanoseconds> Timeline::begin_wait(Clock::time_point now) {
  const std::optional<VirtualTime> until = engine_.idle_until();
  if (!until) return std::nullopt;  // nobody is in the guest: virtual time stands still
  // What the journal still holds is due before anything later.
  if (something_due()) return nanoseconds(0);
  if (*until == kNever && reader_ && reader_->end()) {
    stranded_ = true;
    return nanoseconds(0);
  }
  const VirtualTime from = engine_.now();
  if (*until != kNever && (pace_ == Pace::Off || reader_ || *until <= from)) {
    engine_.advance_to(*until);
    return nanoseconds(0);
  }
  wait_ = Wait{now, from, *until};
  if (*until == kNever) return std::nullopt;
  constexpr std::uint64_t kLongest = 3'600'000'000'000;  // an hour; then it is asked again
  return nanoseconds(std::min(until->ns - from.ns, kLongest));
}

void Timeline::end_wait(Clock::time_point now) {
  const std::optional<Wait> wait = std::exchange(wait_, std::nullopt);
  if (!wait || pace_ == Pace::Off) return;
  const auto waited = static_cast<std::uint64_t>(
      std::max<nanoseconds::rep>(0, nanoseconds(now - wait->start).count()));
  engine_.advance_to({std::min(wait->until.ns, wait->from.ns + waited)});
}

}  // namespace ringside::time
