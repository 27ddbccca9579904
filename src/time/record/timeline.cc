#include "time/record/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "time/record/apply.h"

namespace ringside::time {

using std::chrono::nanoseconds;

namespace {

bool anyone_in_guest(hypervisor::Vm& vm) {
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    if (vm.vcpu({i}).in_guest()) return true;
  }
  return false;
}

}  // namespace

tl::unexpected<Error> Timeline::off_the_path(const std::string& why) const {
  return fail(ErrorCode::BadRequest,
              fmt::format("the replay has left the recorded path between instruction {} and {}{}",
                          alike_.value, recordable_->total_instructions().value, why));
}

Timeline::~Timeline() {
  machine_.set_disk_witness(nullptr);
  if (writer_ || log_) recordable_->tell_changes(nullptr);
}

void Timeline::record(JournalWriter journal) {
  writer_.emplace(std::move(journal));
  hear_changes();
}

void Timeline::hear_changes() {
  recordable_->tell_changes([this](const hypervisor::Change& change) {
    const Result<void> written =
        std::visit([this](const auto& what) { return append(Input(what)); }, change);
    if (!written && !failure_) failure_ = written.error();
  });
}

void Timeline::replay(JournalReader journal, std::function<Result<void>()> restart) {
  reader_.emplace(std::move(journal));
  recordable_->follow_recording();
  restart_ = std::move(restart);
  for (const JournalEntry& entry : reader_->entries()) {
    if (const auto* failure = std::get_if<machine::DiskFailure>(&entry.input))
      disk_failures_.add(*failure);
  }
}

std::optional<std::uint64_t> Timeline::failed_after(unsigned disk, std::uint64_t transfer) const {
  return reader_ || in_past_ ? disk_failures_.find(disk, transfer) : std::nullopt;
}

// One that is gone fails again and again, which need not be said again.
void Timeline::fails(const machine::DiskFailure& failure) {
  if (reader_ || in_past_) {
    const Error error(ErrorCode::System,
                      fmt::format("disk {} cannot be read or written now, as it was then, so that "
                                  "the run cannot be repeated",
                                  failure.disk));
    if (in_past_) lost_disk_ = error;
    if (!in_past_ && !failure_) failure_ = error;
    return;
  }
  if ((!writer_ && !log_) || disk_failures_.find(failure.disk, failure.transfer)) return;
  if (log_ || failure.until == machine::DiskFailure::Until::End) disk_failures_.add(failure);
  if (const Result<void> written = append(failure); !written && !failure_)
    failure_ = written.error();
  if (!log_ || disk_failures_.singles() <= most_failures_) return;
  // The log has forgotten what nobody can go back to.
  disk_failures_.forget_singles();
  for_failures_of_log(log_->begin(), [this](const auto& one) { disk_failures_.add(one); });
  most_failures_ = kFewFailures + 2 * disk_failures_.singles();
}

template <typename Each>
void Timeline::for_failures_of_log(std::uint64_t from, const Each& each) const {
  for (std::uint64_t number = from; number < log_->end(); ++number) {
    const Input input = log_->input_of(number);
    if (const auto* failure = std::get_if<machine::DiskFailure>(&input)) each(*failure);
  }
}

void Timeline::check_memory_too(const hypervisor::GuestRam& ram) {
  checker_ = std::make_unique<Checker>(engine_, machine_, ram);
}

void Timeline::keep_log() {
  log_.emplace(engine_.vcpu_count());
  if (!reader_) {
    hear_changes();
    return;
  }
  JournalReader ahead = *reader_;
  for (; const JournalEntry* entry = ahead.next(); ahead.advance())
    log_->append(entry->at, entry->input);
}

Result<void> Timeline::enter_present() {
  in_past_ = false;
  recordable_->stop_at(std::nullopt);
  if (!reader_) recordable_->impose({});
  for (const Input& input : std::exchange(waiting_, {}))
    TRY(this->input(input));
  return {};
}

Result<void> Timeline::branch(std::uint64_t inputs) {
  for_failures_of_log(inputs, [this](const auto& one) { disk_failures_.remove(one); });
  log_->drop_from(inputs);
  zero_.reset();
  return enter_present();
}

void Timeline::supervise(const hypervisor::Supervision& supervision) {
  supervision_ = supervision;
  recordable_->impose(supervision);
}

Position Timeline::position() const { return {recordable_->progress(), engine_.now()}; }

// What loads a kernel writes to RAM, and nobody is told.
void Timeline::note_reset(const Input& input) {
  if (checker_ && std::holds_alternative<MachineReset>(input)) checker_->memory().forget_content();
}

Result<void> Timeline::append(const Input& input) {
  if (in_past_ || reader_) return {};
  note_reset(input);
  if (log_) log_->append(position(), input);
  if (writer_) TRY(writer_->append({position(), input}));
  return {};
}

Result<void> Timeline::note(const Input& input) {
  if (reader_) return fail(ErrorCode::NotSupported, "a replay takes nothing but what it replays");
  if (in_past_) return fail(ErrorCode::NotSupported, kPastIsFixed);
  end_wait(Clock::now());
  return append(input);
}

Result<void> Timeline::input(const Input& input) {
  if (reader_) return {};
  if (in_past_) {
    waiting_.push_back(input);
    return {};
  }
  TRY(note(input));
  return apply(input);
}

Result<void> Timeline::apply(const Input& input) {
  if (const auto* supervision = std::get_if<hypervisor::Supervision>(&input))
    supervision_ = *supervision;
  if (reader_ && !in_past_) note_reset(input);
  return time::apply(input, engine_, machine_, restart_);
}

// Which vCPUs run counts from the next instruction on: what a debugger does about it while none
// runs is of no consequence.
Result<void> Timeline::note_supervision() {
  if (!anyone_in_guest(engine_)) return {};
  const hypervisor::Supervision now = recordable_->supervision();
  if (now == supervision_) return {};
  supervision_ = now;
  return append(now);
}

Result<void> Timeline::prepare_slice() {
  if (failure_) return fail(*failure_);
  if (in_past_) return {};
  if (!reader_) return writer_ || log_ ? note_supervision() : Result<void>();
  if (stranded_) return off_the_path();
  return replay_due();
}

Result<void> Timeline::replay_due() {
  for (;;) {
    const JournalEntry* const entry = reader_->next();
    const JournalCheck* const check = checker_ ? reader_->next_check() : nullptr;
    if (entry == nullptr && check == nullptr) return approach_end();
    const Position at = check != nullptr ? check->at.at : entry->at;
    // A debugger that has stopped the guest at the moment of an input sees it as it was before.
    if (TRY(approach(at)) == Moment::Ahead || !anyone_in_guest(engine_)) return {};
    if (check != nullptr) {
      TRY(compare(*check));
      reader_->advance_check();
      continue;
    }
    const Result<void> applied = apply(entry->input);
    if (!applied) return off_the_path(": " + applied.error().text());
    reader_->advance();
    ++replayed_;
  }
}

// The same slice of the same run ends elsewhere another time, so a check is where nothing but the
// guest's own progress has brought it: not at a stop, nor at the end.
Result<void> Timeline::slice_over() {
  if (!writer_ || !checker_ || in_past_ || engine_.ended()) return {};
  const std::uint64_t total = recordable_->total_instructions().value;
  if (total < next_check_ || recordable_->supervision().held != 0) return {};
  next_check_ = total + kBetweenChecks;
  return writer_->append(position(), checker_->take());
}

Result<void> Timeline::compare(const JournalCheck& recorded) {
  const InsnCount here = recorded.at.at.progress.instructions;
  const Check now = checker_->take();
  if (now == recorded.check) {
    alike_ = here;
    return {};
  }
  return fail(ErrorCode::BadRequest,
              fmt::format("the replay differs from the recording between instruction {} and {}{}",
                          alike_.value, here.value, unlike(recorded.check, now)));
}

std::string Timeline::unlike(const Check& recorded, const Check& now) const {
  std::string text;
  for (const std::string& line : differences(recorded, now, checker_->pages_in_part()))
    text += "\n  " + line;
  return text;
}

// Lets the run come to a moment of the journal: nothing happens beyond its progress, and there as
// much idle time passes as there was. Whether it is there.
Result<Timeline::Moment> Timeline::approach(Position at) {
  const hypervisor::Progress progress = recordable_->progress();
  if (progress > at.progress) return off_the_path();
  recordable_->stop_at(at.progress);
  if (progress < at.progress && all_dead()) return off_the_path();
  const bool more_to_run = progress.instructions < at.progress.instructions;
  if (engine_.now() < at.time) {
    // Time passes while the guest sleeps: until a device's event, which may wake it, or until the
    // moment itself.
    const std::optional<VirtualTime> idle = engine_.idle_until();
    if (idle) engine_.advance_to(std::min(*idle, at.time));
    if (!idle && progress == at.progress && anyone_in_guest(engine_)) return off_the_path();
  }
  if (more_to_run) {
    // Nothing wakes it any more before the moment, whose instructions it has not executed.
    if (engine_.now() >= at.time && engine_.idle_until() > at.time) return off_the_path();
    return Moment::Ahead;
  }
  const bool there = recordable_->progress() == at.progress && engine_.now() >= at.time;
  return there ? Moment::Now : Moment::Ahead;
}

Result<void> Timeline::approach_end() {
  const std::optional<JournalEnd>& end = reader_->end();
  if (end && end->by == JournalEnd::By::Outside) {
    over_ = TRY(approach(end->at)) == Moment::Now;
    return {};
  }
  recordable_->stop_at(std::nullopt);
  // The guest ends the run itself, unless it is another run.
  if (end && recordable_->total_instructions() > end->at.progress.instructions)
    return off_the_path();
  return {};
}

// All that are in the guest. No recorded run did so: nothing would have happened any more.
bool Timeline::recorded_run_holds_all() const {
  for (std::uint32_t i = 0; i < engine_.vcpu_count(); ++i) {
    if (engine_.vcpu({i}).in_guest() && (supervision_.held >> i & 1) == 0) return false;
  }
  return anyone_in_guest(engine_);
}

// Nobody who is let run can go on. Where deaths are survived, that does not end the machine.
bool Timeline::all_dead() const {
  bool any = false;
  for (std::uint32_t i = 0; i < engine_.vcpu_count(); ++i) {
    const hypervisor::Vcpu& vcpu = engine_.vcpu({i});
    if (!vcpu.active() || !vcpu.in_guest() || (supervision_.held >> i & 1) != 0) continue;
    if (vcpu.activity() != hypervisor::VcpuActivity::Dead) return false;
    any = true;
  }
  return any;
}

bool Timeline::something_due() const {
  if (!reader_) return false;
  return reader_->next() != nullptr || (checker_ && reader_->next_check() != nullptr) ||
         (reader_->end() && reader_->end()->by == JournalEnd::By::Outside);
}

Result<std::optional<std::string>> Timeline::finish(JournalEnd::By by, std::uint64_t hash) {
  if (!has_journal()) return std::nullopt;
  JournalEnd end{position(), by, hash};
  if (checker_) end.check = checker_->take();
  if (writer_) {
    if (failure_) return fail(*failure_);
    TRY(note_supervision());  // a dead vCPU that is resumed ends the machine without a slice
    TRY(writer_->finish(end));
    return std::nullopt;
  }
  const std::optional<JournalEnd>& recorded = reader_->end();
  if (!recorded) return "the recording has no end to compare with";
  const InsnCount there = recorded->at.progress.instructions, here = end.at.progress.instructions;
  if (there == here && recorded->hash == end.hash) return std::nullopt;
  if (by == JournalEnd::By::Outside && here < there) {
    return fmt::format(
        "ended after {} of the recording's {} instructions; what was compared before is as "
        "recorded",
        here.value, there.value);
  }
  return fail(
      ErrorCode::BadRequest,
      fmt::format("the replay differs from the recording after instruction {}: it ended after {} "
                  "instructions with hash {:016x}, the recording after {} with {:016x}{}",
                  alike_.value, here.value, end.hash, there.value, recorded->hash,
                  recorded->check && end.check ? unlike(*recorded->check, *end.check) : ""));
}

std::optional<nanoseconds> Timeline::begin_wait(Clock::time_point now) {
  const bool awaits_input = machine_.awaits_input() && !machine_.awaits_room();
  if (reader_ && (all_dead() || awaits_input) && !something_due()) {
    // The recorded run went on only if somebody revived it, or with an answer from outside, and
    // then there would be a word of that.
    (reader_->end() ? stranded_ : over_) = true;
    return nanoseconds(0);
  }
  const std::optional<VirtualTime> until = engine_.idle_until();
  if (!until) {
    // Nobody is in the guest: virtual time stands still.
    stranded_ = reader_ && recorded_run_holds_all();
    if (!stranded_) return std::nullopt;
    return nanoseconds(0);
  }
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

nanoseconds Timeline::lead(Clock::time_point now) {
  if (pace_ == Pace::Off || reader_ || in_past_) return nanoseconds(0);
  // What a busy guest's clock has lost it may make up for, but not what passed while it was
  // stopped.
  constexpr nanoseconds kMostBehind = std::chrono::seconds(1),
                        kLeast = std::chrono::milliseconds(2);
  const nanoseconds time{static_cast<nanoseconds::rep>(engine_.now().ns)};
  if (!zero_) zero_ = now - time;
  zero_ = std::max(*zero_, now - time - kMostBehind);
  const nanoseconds ahead = *zero_ + time - now;
  return ahead < kLeast ? nanoseconds(0) : ahead;
}

void Timeline::end_wait(Clock::time_point now) {
  const std::optional<Wait> wait = std::exchange(wait_, std::nullopt);
  if (!wait || pace_ == Pace::Off) return;
  const auto waited = static_cast<std::uint64_t>(
      std::max<nanoseconds::rep>(0, nanoseconds(now - wait->start).count()));
  engine_.advance_to({std::min(wait->until.ns, wait->from.ns + waited)});
}

}  // namespace ringside::time
