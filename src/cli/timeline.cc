#include "cli/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ringside::cli {

using std::chrono::nanoseconds;

namespace {

bool anyone_in_guest(hypervisor::Vm& vm) {
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    if (vm.vcpu({i}).in_guest()) return true;
  }
  return false;
}

}  // namespace

void Timeline::record(soft::SoftEngine& engine, machine::JournalWriter journal) {
  soft_ = &engine;
  writer_.emplace(std::move(journal));
}

void Timeline::replay(soft::SoftEngine& engine, machine::JournalReader journal) {
  soft_ = &engine;
  reader_.emplace(std::move(journal));
}

void Timeline::apply(const machine::Input& input) {
  std::visit([this](const auto& what) { machine_.input(what); }, input);
}

Result<void> Timeline::input(const machine::Input& input) {
  if (reader_) return {};
  end_wait(Clock::now());
  if (writer_) TRY(writer_->append({soft_->total_instructions(), engine_.now(), input}));
  apply(input);
  return {};
}

Result<void> Timeline::prepare_slice() {
  if (!reader_) return {};
  while (const machine::JournalEntry* entry = reader_->next()) {
    const InsnCount total = soft_->total_instructions();
    if (total < entry->count) {
      soft_->stop_at(entry->count);
      return {};
    }
    if (total == entry->count && engine_.now() < entry->time) {
      // It came while the guest slept; device events that wake the guest come before it.
      const std::optional<VirtualTime> idle = engine_.idle_until();
      if (idle) engine_.advance_to(std::min(*idle, entry->time));
      if (!idle && anyone_in_guest(engine_)) {
        return fail(ErrorCode::BadRequest, "the replay has left the recorded path");
      }
      if (engine_.now() < entry->time) return {};
    }
    if (total > entry->count) {
      return fail(ErrorCode::BadRequest, "the replay has left the recorded path");
    }
    apply(entry->input);
    reader_->advance();
  }
  soft_->stop_at(std::nullopt);
  return {};
}

std::optional<nanoseconds> Timeline::begin_wait(Clock::time_point now) {
  const std::optional<VirtualTime> until = engine_.idle_until();
  if (!until) return std::nullopt;  // nobody is in the guest: virtual time stands still
  // What the journal still holds is due before anything later.
  if (reader_ && reader_->next() != nullptr) return nanoseconds(0);
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

}  // namespace ringside::cli
