// What a run's disks could not do, from the run's inputs: which transfers fail when it is repeated.
// Main thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "machine/storage/disk_witness.h"

namespace ringside::time {

class DiskFailures {
 public:
  void add(const machine::DiskFailure& failure) {
    if (failure.until == machine::DiskFailure::Until::End)
      gone_.emplace(failure.disk, failure.transfer);
    else
      single_.emplace(failure.disk, failure.transfer);
  }
  bool contains(unsigned disk, std::uint64_t transfer) const {
    const auto gone = gone_.find(disk);
    return (gone != gone_.end() && transfer >= gone->second) ||
           single_.count({disk, transfer}) != 0;
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
  std::set<std::pair<unsigned, std::uint64_t>> single_;
};

}  // namespace ringside::time
