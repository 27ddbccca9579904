// A guest's run and its repetition, which are to be the same.
#pragma once

#include <string>
#include <utility>

#include "linux/linux_guest.h"

namespace ringside::testing {

// A run that is recorded where that is possible, and then repeated.
class RecordedRun {
 public:
  // The journal is removed at the end.
  explicit RecordedRun(std::string journal) : journal_(std::move(journal)) {}
  ~RecordedRun();
  RecordedRun(const RecordedRun&) = delete;
  RecordedRun& operator=(const RecordedRun&) = delete;

  // What the guest is to be started with.
  LinuxOptions recorded(LinuxOptions options) const;
  // It has ended, by itself. Says the same and ends in the same state when it is repeated, with
  // nobody at its input; where nothing is recorded, this does nothing.
  void expect_repetition(const LinuxFiles& files, LinuxOptions options, ChildProcess& first) const;

 private:
  const std::string journal_;
  const bool is_possible_ = engine() == "soft";
};

}  // namespace ringside::testing
