// The breakpoint that one vCPU has hit and not executed yet. Its instruction must be executed
// without hitting again, even if the vCPU is called out of the guest before. Owned by the vCPU; the
// thread's, or under the lock while the vCPU is out.
#pragma once

#include <optional>

#include "engine/kvm/entry/core.h"

namespace ringside::kvm {

class PassedBreakpoint {
 public:
  explicit PassedBreakpoint(VcpuCore& core) : core_(core) {}

  bool waits() const { return at_.has_value(); }
  // An int3 lies on the instruction, which the debugger's filter can take out.
  bool under_int3() const { return waits() && under_int3_; }
  void forget() { at_.reset(); }
  // The vCPU has arrived at a breakpoint in a debug register. There may be an int3 of the
  // debugger's as well: one arrival.
  void arrived(Gva at);
  // As the vCPU enters the guest: whether it is still there, so that a step is due.
  bool is_due();
  // A hit that does not count.
  void let_pass(const Exit& hit);
  // After a step, which is made without the debugger's breakpoints in the debug registers: the hit
  // of one on the next instruction.
  std::optional<Exit> ahead();

 private:
  VcpuCore& core_;
  std::optional<Gva> at_;
  bool under_int3_ = false;
};

}  // namespace ringside::kvm
