// The journal of outside inputs: everything that reaches the guest from outside, with the moment at
// which it did. A run with the same kernel, options and journal is the same run, instruction by
// instruction. The main loop writes it (--record) or takes its inputs from it (--replay).
//
// A text file: a first line with the format's version and the identity of the run (another version
// also where instructions take another time: docs/decisions/0029-virtual-time.md), a second one
// with the seed of the guest's random numbers, a third with the date that its clock began with, in
// seconds since 1970, a fourth with its processor, then a line per input: the instructions retired
// by all vCPUs, with +N where N things have happened since without one retiring; virtual
// nanoseconds; and the input's words. Between them, every now and then, a check has figures of the
// state there, so that a replay that differs is noticed, and it is known where
// (docs/decisions/0040). The last line is the end: who ended the run (the guest, or something
// outside it), the hash of the state, and the figures of a check. A run that was killed has none.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "machine/machine.h"
#include "platform/processor.h"
#include "ringside/types.h"
#include "time/record/check.h"
#include "time/record/inputs.h"
#include "time/record/position.h"

namespace ringside::time {

struct JournalEntry {
  Position at;
  Input input;
};

struct JournalCheck {
  Place at;  // after so many of the journal's inputs
  Check check;
};

// What must be equal for a replay to make sense.
struct RunIdentity {
  unsigned vcpus = 1;
  std::uint64_t memory = 0;   // bytes
  std::uint64_t content = 0;  // a figure of disks, kernel and modules, and command line
  friend bool operator==(const RunIdentity&, const RunIdentity&) = default;
};

// What else the recorded run began with.
struct RunStart {
  std::uint64_t seed = 0;  // of the guest's random numbers
  std::int64_t date = 0;   // of its clock, in seconds since 1970
  hypervisor::Processor processor = hypervisor::Processor::V2;
  friend bool operator==(const RunStart&, const RunStart&) = default;
};

struct JournalEnd {
  Position at;
  enum class By : std::uint8_t { Guest, Outside } by = By::Guest;
  std::uint64_t hash = 0;  // of CPUs, devices and memory
  std::optional<Check> check = std::nullopt;
};

class JournalWriter {
 public:
  static Result<JournalWriter> create(const std::string& path, const RunIdentity& identity,
                                      const RunStart& start);
  // Written through at once, so that a crash loses nothing.
  Result<void> append(const JournalEntry& entry);
  Result<void> append(const Position& at, const Check& check);
  Result<void> finish(const JournalEnd& end);

 private:
  Result<void> write(const std::string& line);

  Fd file_;
  std::string path_;
};

class JournalReader {
 public:
  // BadRequest when the file is no journal, is damaged (the line is named) or belongs to another
  // run.
  static Result<JournalReader> open(const std::string& path, const RunIdentity& identity);
  // The same of a text that is there already; `name` is for errors.
  static Result<JournalReader> read(std::istream& text, const std::string& name,
                                    const RunIdentity& identity);
  const RunStart& start() const { return start_; }
  // The next entry, or null at the end.
  const JournalEntry* next() const {
    return position_ < entries_.size() ? &entries_[position_] : nullptr;
  }
  void advance() { ++position_; }
  // The check that comes before that entry, or null.
  const JournalCheck* next_check() const {
    if (check_position_ == checks_.size()) return nullptr;
    const JournalCheck& check = checks_[check_position_];
    return check.at.inputs <= position_ ? &check : nullptr;
  }
  void advance_check() { ++check_position_; }
  // All of them, whatever has been read.
  const std::vector<JournalEntry>& entries() const { return entries_; }
  const std::vector<JournalCheck>& checks() const { return checks_; }
  const std::optional<JournalEnd>& end() const { return end_; }

 private:
  // The lines after the first one that there must be.
  static constexpr std::size_t kStartLines = 3;
  bool take_start(std::size_t line, const std::string& text);
  bool take_line(const std::string& text, unsigned vcpus);

  RunStart start_;
  Position last_;  // of the lines so far
  std::vector<JournalEntry> entries_;
  std::size_t position_ = 0;
  std::vector<JournalCheck> checks_;
  std::size_t check_position_ = 0;
  std::optional<JournalEnd> end_;
};

}  // namespace ringside::time
