// The places besides the next instruction where a step may come out: exception handlers, the target
// of SYSCALL. Each gets an int3 in guest memory for as long as the stepping vCPU is in the guest,
// while all others are kept out (RunGate); or a debug register where int3 is not intercepted.
//
// Owned by a step, on its vCPU's thread.
#pragma once

#include <vector>

#include "engine/kvm/code/gates.h"
#include "engine/kvm/code/guest_view.h"
#include "engine/kvm/entry/core.h"
#include "engine/kvm/watch/debug_slots.h"

namespace ringside::kvm {

class StepPoints {
 public:
  explicit StepPoints(VcpuCore& core) : core_(core) {}
  ~StepPoints() { lift(); }
  StepPoints(const StepPoints&) = delete;

  // The likeliest first: debug registers are few.
  void add(const EntryPoint& point) { points_.push_back(point); }
  // Uses what is free in `slots` where int3 does not help.
  void plant(const GuestView& memory, DebugSlots& slots);
  void lift();
  // The points at an address; several vectors may share a handler.
  std::vector<EntryPoint> at(Gva address) const;

 private:
  struct Planted {
    std::uint8_t* host;
    std::uint8_t original;
  };
  VcpuCore& core_;
  std::vector<EntryPoint> points_;
  std::vector<Planted> planted_;
  bool closed_ = false;
};

}  // namespace ringside::kvm
