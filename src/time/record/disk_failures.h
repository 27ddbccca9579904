// What a run's disks could not do, from the run's inputs: which transfers fail when it is repeated.
// Main thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "machine/storage/disk_witness.h"

namespace ringside::time {

class DiskFailures {
 public:
  void add(const machine::DiskFailure& failure) {
    if (failure.until == machine::DiskFailure::Until::End)
      gone_.emplace(failure.disk, failure.transfer);
    else
      single_.emplace(std::pair(failure.disk, failure.transfer), failure.written);
  }
  // That transfer failed, after so many bytes that were written.
  std::optional<std::uint64_t> find(unsigned disk, std::uint64_t transfer) const {
    if (const auto single = single_.find({disk, transfer}); single != single_.end())
      return single->second;
    const auto gone = gone_.find(disk);
    if (gone != gone_.end() && transfer >= gone->second) return 0;
    return std::nullopt;
  }
  void remove(const machine::DiskFailure& failure) {
    if (failure.until == machine::DiskFailure::Until::End)
      gone_.erase(failure.disk);
    else
      single_.erase({failure.disk, failure.transfer});
  }
  // Those of single transfers.
  std::size_t singles() const { return single_.size(); }
  void forget_singles() { single_.clear(); }

 private:
  std::map<unsigned, std::uint64_t> gone_;  // disks, and the first transfer that fails for good
  std::map<std::pair<unsigned, std::uint64_t>, std::uint64_t> single_;  // what was written of it
};

}  // namespace ringside::time
