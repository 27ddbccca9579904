// The engine's breakpoints by linear address, shared by everybody here who wants one: the engine
// has at most one at an address, and it goes when the last who asked for it lets go.
//
// Derived: for each address the number of those that want it, which are the wishes of
// BreakpointTable and the entries of StoppointList. Who they are and why, only those two know. The
// engine's own set has these addresses and no others.
//
// Owned by the server's target; used on its thread.
#pragma once

#include <map>

#include "base/result.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

class LinearBreakpoints {
 public:
  explicit LinearBreakpoints(hypervisor::Vm& vm) : vm_(vm) {}

  Result<void> add(Gva address);
  // One that the engine lends (hypervisor::SpareBreakpoints).
  Result<void> add_spare(Gva address);
  Result<void> drop(Gva address);

 private:
  hypervisor::Vm& vm_;
  std::map<Gva, unsigned> users_;
};

}  // namespace ringside::debug
