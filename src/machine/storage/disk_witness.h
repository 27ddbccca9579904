// Who is told what becomes of disks. A host that cannot do what a disk wants is outside input: a
// run that is repeated has to fail at the same place, and nowhere else.
//
// Transfers of a disk (reads, writes and flushes) are numbered from the machine's beginning on.
#pragma once

#include <cstdint>
#include <optional>

namespace ringside::machine {

struct DiskFailure {
  enum class Until : std::uint8_t {
    Next,  // the one transfer
    End,   // and all that come after it
  };
  unsigned disk = 0;
  std::uint64_t transfer = 0;
  Until until = Until::Next;
  std::uint64_t written = 0;  // bytes that are on the disk all the same
  friend bool operator==(const DiskFailure&, const DiskFailure&) = default;
};

// Called on the main thread, where an engine's runs can be repeated.
class DiskWitness {
 public:
  virtual ~DiskWitness() = default;
  // The run that is repeated failed here, after so many bytes that were written: nobody is asked
  // for more now.
  virtual std::optional<std::uint64_t> failed_after(unsigned disk,
                                                    std::uint64_t transfer) const = 0;
  virtual void fails(const DiskFailure& failure) = 0;
  // A transfer is under way, and the machine stands still.
  virtual void waits() = 0;
};

}  // namespace ringside::machine
