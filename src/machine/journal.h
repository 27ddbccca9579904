// The journal of outside inputs: everything that reaches the guest from outside, with the moment at
// which it did. A run with the same kernel, options and journal is the same run, instruction by
// instruction. The main loop writes it (--record) or takes its inputs from it (--replay).
//
// A text file: a first line with the format's version and the identity of the run, then a line per
// input: instructions retired by all vCPUs, virtual nanoseconds, kind, data in hexadecimal.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "machine/machine.h"

namespace ringside::machine {

using Input = std::variant<SerialInput, GuestGdbInput, GuestGdbConnection>;

struct JournalEntry {
  InsnCount count;
  VirtualTime time;
  Input input;
};

// What must be equal for a replay to make sense.
struct RunIdentity {
  unsigned vcpus = 1;
  std::uint64_t memory = 0;       // bytes
  std::uint32_t content_crc = 0;  // of kernel, modules, disks and command line, in this order
  friend bool operator==(const RunIdentity&, const RunIdentity&) = default;
};

class JournalWriter {
 public:
  static Result<JournalWriter> create(const std::string& path, const RunIdentity& identity);
  // Written through at once, so that a crash loses nothing.
  Result<void> append(const JournalEntry& entry);

 private:
  std::ofstream file_;
  std::string path_;
};

class JournalReader {
 public:
  // BadRequest when the file is no journal, is damaged (the line is named) or belongs to another
  // run.
  static Result<JournalReader> open(const std::string& path, const RunIdentity& identity);
  // The next entry, or null at the end.
  const JournalEntry* next() const {
    return position_ < entries_.size() ? &entries_[position_] : nullptr;
  }
  void advance() { ++position_; }

 private:
  std::vector<JournalEntry> entries_;
  std::size_t position_ = 0;
};

}  // namespace ringside::machine
