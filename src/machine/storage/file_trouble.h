// The log's lines about a file of the host in which a disk is: what it cannot do any more, once,
// and again when it could in between. A guest may ask for what fails as often as it likes, and the
// more often it came about, the fewer lines there are. No state of the machine: in a run that is
// repeated nobody asks the file for what has failed, and nothing is said.
//
// Owned by the disk; called where it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/fd.h"

namespace ringside::machine {

class FileTrouble {
 public:
  enum class Operation : std::uint8_t { Read, Write, Flush };

  // `name` begins the lines.
  explicit FileTrouble(std::string name) : name_(std::move(name)) {}

  // For an errno(3).
  void fails(Operation operation, std::uint64_t offset, int error);
  // A read: for an errno(3), unless the file has become shorter than `size`.
  void read_fails(const Fd& file, std::uint64_t size, std::uint64_t offset, int error);
  // What has failed is over where this reaches it.
  void works(Operation operation, std::uint64_t offset, std::uint64_t size) {
    end(of(operation), offset, size);
    if (operation != Operation::Flush) end(cut_, offset, size);
  }

 private:
  struct Kind {
    std::optional<std::uint64_t> failed_at;
    std::uint64_t times = 0;
  };
  Kind& of(Operation operation) { return kinds_[static_cast<std::size_t>(operation)]; }
  static bool begins(Kind& kind, std::uint64_t offset);
  static void end(Kind& kind, std::uint64_t offset, std::uint64_t size) {
    if (kind.failed_at && *kind.failed_at >= offset && *kind.failed_at - offset < size)
      kind.failed_at.reset();
  }

  std::string name_;
  std::array<Kind, 3> kinds_;  // by operation
  Kind cut_;                   // failed at the last byte, which is there again when it is over
};

}  // namespace ringside::machine
