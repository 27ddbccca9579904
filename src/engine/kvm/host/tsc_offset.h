// A vCPU's time-stamp counter, as what is added to the host's (KVM_VCPU_TSC_OFFSET, Linux 5.16).
// While the debugger has every vCPU out of the guest, the guest's clock stands (guest_clock.h); the
// counter is set back by as much before the vCPU goes on, so that a guest that tells the time by it
// sees neither a stuck processor nor an expired timeout. Owned by the vCPU's thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/fd.h"
#include "base/result.h"

namespace ringside::kvm {

class TscOffset {
 public:
  // `kilohertz`: the counter's rate; 0 if it cannot be told, and then it runs on.
  explicit TscOffset(unsigned kilohertz) : kilohertz_(kilohertz) {}

  // `stood`: how long the guest's clock has stood since its start. All vCPUs count in whole
  // milliseconds of it, so that their counters stay together whoever goes on first.
  void follow(const Fd& vcpu, std::chrono::nanoseconds stood);

  static Result<std::uint64_t> get(const Fd& vcpu);
  static Result<void> set(const Fd& vcpu, std::uint64_t offset);

 private:
  unsigned kilohertz_;
  std::chrono::milliseconds followed_{0};
};

}  // namespace ringside::kvm
