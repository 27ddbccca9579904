// Execution breakpoints without a byte in guest memory, on all vCPUs. Three abilities, each of
// which an engine may have or not; hardware breakpoints (Z1) need the first one, and software
// breakpoints (Z0) are better with the second.
//
// Called on the thread that serves the debugger, while every vCPU is out of the guest. Calls are
// not counted: an address is inserted once, and removed once. A hit is exit::HardwareBreakpoint,
// before the instruction is executed and before a fault that its fetch would have (SDM 3A table
// 6-2).
#pragma once

#include <string>

#include "ringside/result.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

// By linear address, whatever it leads to.
class Breakpoints {
 public:
  virtual ~Breakpoints() = default;
  // Busy where the engine has no more of them.
  virtual Result<void> insert_breakpoint(Gva address) = 0;
  virtual Result<void> remove_breakpoint(Gva address) = 0;
  // How one of these is realised, in words for `monitor breakpoints`; empty where there is nothing
  // to say.
  virtual std::string describe_breakpoint(Gva) { return {}; }
};

// By guest-physical address, through whichever mapping it is executed.
class PhysicalBreakpoints {
 public:
  virtual ~PhysicalBreakpoints() = default;
  virtual Result<void> insert_physical_breakpoint(Gpa address) = 0;
  virtual Result<void> remove_physical_breakpoint(Gpa address) = 0;
};

// Breakpoints by linear address that an engine with few of them lends: everybody else comes first,
// the guest's own included. There may be an int3 of the debugger's at the address as well, which is
// no second arrival. They are removed as Breakpoints are, which such an engine has too.
class SpareBreakpoints {
 public:
  virtual ~SpareBreakpoints() = default;
  // How many there are to lend.
  virtual unsigned count_spare_breakpoints() = 0;
  virtual Result<void> insert_spare_breakpoint(Gva address) = 0;
};

}  // namespace ringside::hypervisor
