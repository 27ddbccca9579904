// Exceptions that one vCPU is given from outside instead of by its own instruction: what a debugger
// injects, and the guest's own #BP and #DB that a debug facility has intercepted. Owned by the
// vCPU; the thread's, or under the lock while the vCPU is out.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/interrupts.h"
#include "engine/kvm/entry/kernel_activity.h"

namespace ringside::kvm {

class Exceptions {
 public:
  Exceptions(VcpuCore& core, KernelActivity& activity, Interrupts& interrupts)
      : core_(core), activity_(activity), interrupts_(interrupts) {}

  // ---- Under the lock
  // One for the next resume.
  Result<void> inject(const x86::Exception& exception);
  Result<void> set_length(std::uint8_t length);
  std::uint8_t length() const { return length_; }
  // What waits for the next resume.
  const std::optional<x86::Exception>& queued() const { return queued_; }
  // INIT: what waits is lost.
  void forget() { queued_.reset(); }
  void reset();

  // ---- The thread
  // What waits becomes KVM's.
  Result<void> push();
  void raise_breakpoint(std::uint8_t length);
  void raise_debug(std::uint64_t dr6_bits);
  // KVM has left the guest at an int3 of this length.
  void left_at_int3(std::uint8_t length);

 private:
  void push_at_once();

  VcpuCore& core_;
  KernelActivity& activity_;
  Interrupts& interrupts_;
  std::optional<x86::Exception> queued_;
  std::uint8_t length_ = 1;  // of the instruction that raises a software exception
  // The instruction length that KVM will add for a software exception: that of the last int3 exit.
  std::uint8_t int3_length_ = 1;
};

}  // namespace ringside::kvm
