#include "time/rerun.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace ringside::time {

Rerun::Rerun(std::string name, HistorySubjects subjects, JournalReader journal,
             std::function<Result<void>()> restart)
    : name_(std::move(name)),
      subjects_(std::move(subjects)),
      journal_(std::move(journal)),
      restart_(std::move(restart)),
      end_(end_of(journal_)),
      timeline_(subjects_.engine, subjects_.machine, Pace::Off),
      history_(subjects_, std::numeric_limits<std::uint64_t>::max()),
      course_(subjects_.engine, timeline_, history_),
      checker_(subjects_.engine, subjects_.machine, subjects_.ram) {
  timeline_.replay(journal_, [this] { return restart_again(); });
  timeline_.keep_log();
  hypervisor::Rewindable& engine = *subjects_.engine.rewindable();
  engine.keep_pages(*this);
  engine.travel(this);
  history_.begin(timeline_.place(), timeline_.supervision());
  course_.go_to_mark(0);
}

Rerun::~Rerun() {
  hypervisor::Rewindable& engine = *subjects_.engine.rewindable();
  engine.travel(nullptr);
  engine.forget_keeper(*this);
}

// Where the guest has ended the run, it does so after the last instruction; what else is at that
// moment it no longer executes. Of a run that was killed nothing is known after the last line.
Place Rerun::end_of(const JournalReader& journal) {
  const std::uint64_t inputs = journal.entries().size();
  if (journal.end()) {
    const JournalEnd& end = *journal.end();
    if (end.by == JournalEnd::By::Outside) return {end.at, inputs};
    const InsnCount last = end.at.progress.instructions;
    const auto before = std::count_if(journal.entries().begin(), journal.entries().end(),
                                      [&](const JournalEntry& entry) {
                                        return entry.at < Position{{last}, {}};
                                      });
    return {{{last}, {}}, static_cast<std::uint64_t>(before)};
  }
  Place last;
  if (inputs != 0) last = {journal.entries().back().at, inputs};
  if (!journal.checks().empty()) last = std::max(last, journal.checks().back().at);
  return last;
}

Result<void> Rerun::advance(const Place& place) {
  for (;;) {
    const Result<bool> there = course_.advance(place);
    if (there && *there) return {};
    if (there) continue;
    return fail(ErrorCode::BadRequest,
                fmt::format("the replay of {} has left the recorded path between instruction {} "
                            "and {}",
                            name_, alike_.value, here().at.progress.instructions.value));
  }
}

Result<void> Rerun::go_to(const Place& place) {
  const std::vector<JournalCheck>& checks = journal_.checks();
  for (; next_check_ < checks.size() && checks[next_check_].at <= place; ++next_check_)
    TRY(compare(checks[next_check_]));
  return advance(place);
}

Result<void> Rerun::compare(const JournalCheck& recorded) {
  TRY(advance(recorded.at));
  const InsnCount here = recorded.at.at.progress.instructions;
  const Check now = checker_.take();
  if (now == recorded.check) {
    alike_ = here;
    return {};
  }
  std::string text = fmt::format(
      "the replay of {} differs from its recording between instruction {} and {}, so that there is "
      "nothing to compare it with",
      name_, alike_.value, here.value);
  for (const std::string& line : differences(recorded.check, now, checker_.pages_in_part()))
    text += "\n  " + line;
  return fail(ErrorCode::BadRequest, std::move(text));
}

// What a loader changes without telling is told of before, all that there is. Not so to the sums of
// the checks, which do not know of it in the recorded run either.
Result<void> Rerun::restart_again() {
  for (const hypervisor::RamSlot& slot : subjects_.ram.slots())
    subjects_.engine.cpus().ram_about_to_change(slot.base, slot.size);
  checker_.memory().forget_content();
  return restart_();
}

void Rerun::keep(Gpa page, const std::uint8_t* /*content*/) {
  changed_.push_back(page.value / kPageSize);
}

const std::vector<std::uint64_t>& Rerun::changed_pages() {
  std::sort(changed_.begin(), changed_.end());
  changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
  return changed_;
}

void Rerun::remember() {
  const Place now = here();
  // Its disks are nobody's, and take everything.
  static_cast<void>(history_.forget_future(now, timeline_.supervision()));
  history_.begin(now, timeline_.supervision());
  course_.go_to_mark(0);
  changed_.clear();
  subjects_.engine.rewindable()->begin_interval(*this);
}

// A check that was passed is not looked at again. The sums stay right all the same: whatever is
// undone now happens again before the next check.
void Rerun::go_back() { course_.go_to_mark(0); }

}  // namespace ringside::time
