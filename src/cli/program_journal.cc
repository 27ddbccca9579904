// The program's part in recordings and replays: where a run begins.
#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>
#include <variant>

#include "cli/program.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {
namespace {

Result<std::uint64_t> host_entropy() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value)
    return fail(Error::from_errno("no random numbers from the host", errno));
  return value;
}

}  // namespace

std::int64_t Program::wanted_date() const {
  if (!options_.date) return machine::kUsualDate;
  if (const auto* seconds = std::get_if<std::int64_t>(&*options_.date)) return *seconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::clamp<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count(), 0,
                                  machine::kLastDate);
}

// A replay begins with the date that was recorded. The host's was another one then; whoever names
// one means it.
Result<void> Program::check_date(std::int64_t recorded) const {
  if (!options_.date) return {};
  if (std::holds_alternative<HostsDate>(*options_.date)) {
    notice("replay: the guest's date is the recorded one, {}, not the host's", recorded);
    return {};
  }
  if (wanted_date() == recorded) return {};
  return fail(ErrorCode::BadRequest,
              fmt::format("--date {}: the recorded run began with {}, and a replay takes its date "
                          "from the journal",
                          wanted_date(), recorded));
}

// The seed of the random numbers is the first of the inputs from outside: a recording draws one,
// unless it is given one. So is the date.
Result<Program::Journal> Program::open_journal() {
  Journal journal;
  journal.start.date = wanted_date();
  journal.start.seed = options_.seed.value_or(0);
  journal.start.processor = options_.processor.value_or(hypervisor::Processor::V2);
  if (!wants_journal()) return journal;
  if (options_.engine == EngineChoice::Kvm) {
    return fail(ErrorCode::NotSupported, "--record and --replay need the software CPU");
  }
  if (!options_.record.empty() && !options_.replay.empty()) {
    return fail(ErrorCode::BadRequest, "--record and --replay exclude each other");
  }
  const time::RunIdentity identity{options_.cpus, options_.memory, content_};
  if (!options_.record.empty()) {
    if (!options_.seed) journal.start.seed = TRY(host_entropy());
    journal.writer = TRY(time::JournalWriter::create(options_.record, identity, journal.start));
  } else {
    journal.reader = TRY(time::JournalReader::open(options_.replay, identity));
    journal.start = journal.reader->start();
    TRY(check_date(journal.start.date));
    if (options_.processor && options_.processor != journal.start.processor) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("--cpu: the recorded run had {}, and a replay takes its processor "
                              "from the journal",
                              name_of(journal.start.processor)));
    }
  }
  return journal;
}

}  // namespace ringside::cli
