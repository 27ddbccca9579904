// Watchpoints, on all vCPUs: each of the two abilities an engine may have or not.
//
// Called on the thread that serves the debugger, while every vCPU is out of the guest. Calls are
// not counted: a range is inserted once for a kind of access, and removed once. A hit is reported
// after the instruction, as exit::Watchpoint or exit::PhysicalWatchpoint, and for each range at
// most once for an instruction.
#pragma once

#include <cstdint>
#include <string>

#include "ringside/exit.h"
#include "ringside/result.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

// By linear address. Sizes are in bytes; NotSupported for a range that this engine cannot watch,
// Busy where it has no more of them.
class Watchpoints {
 public:
  virtual ~Watchpoints() = default;
  virtual Result<void> insert_watchpoint(Gva address, std::uint64_t size, WatchKind kind) = 0;
  virtual Result<void> remove_watchpoint(Gva address, std::uint64_t size, WatchKind kind) = 0;
  // How one of these is realised, in words for `monitor breakpoints`; empty where there is nothing
  // to say.
  virtual std::string describe_watchpoint(Gva, std::uint64_t /*size*/, WatchKind) { return {}; }
};

// By guest-physical address: the CPUs' accesses, and what devices write.
class PhysicalWatchpoints {
 public:
  virtual ~PhysicalWatchpoints() = default;
  virtual Result<void> insert_physical_watchpoint(Gpa address, std::uint64_t size,
                                                  WatchKind kind) = 0;
  virtual Result<void> remove_physical_watchpoint(Gpa address, std::uint64_t size,
                                                  WatchKind kind) = 0;
};

}  // namespace ringside::hypervisor
