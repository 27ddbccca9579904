// Steps through a range without leaving for the debugger. Owned by the vCPU; its thread's, except
// where the lock is shown.
#pragma once

#include <chrono>
#include <optional>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/handover.h"
#include "hypervisor/step_range.h"

namespace ringside::kvm {

class RangeSteps {
 public:
  RangeSteps(VcpuCore& core, Handover& handover) : core_(core), handover_(handover) {}

  // Until the next event a step ends only outside of [start, end).
  void set(const Handover::Lock&, Gva start, Gva end) { range_ = {start, end}; }
  void forget(const Handover::Lock&) { range_.reset(); }
  // After a step: whether it has ended within the range.
  bool goes_on();
  // Between two steps.
  void let_others_run();

 private:
  VcpuCore& core_;
  Handover& handover_;
  std::optional<hypervisor::StepRange> range_;
  std::chrono::steady_clock::time_point others_ran_{};  // while this one went on stepping
};

}  // namespace ringside::kvm
