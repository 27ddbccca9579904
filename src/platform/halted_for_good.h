// When a machine has ended by itself: every vCPU is halted with interrupts off, so that nothing in
// it can wake the guest again. The rule for all engines; how an engine finds the moment to ask, and
// what a vCPU does, is its own.
//
// Pure functions; any thread that may look at the vCPUs.
#pragma once

#include <cstdint>

#include "ringside/exit.h"
#include "ringside/vcpu.h"

namespace ringside::hypervisor {

// What may still come of one vCPU.
enum class Hope : std::uint8_t {
  Some,    // it executes, or something may wake it; or it is a debugger's, who may do anything
  None,    // halted, and no interrupt is taken any more
  Absent,  // not started, or back to waiting for a start-up IPI, which only another can send
};

// Of a vCPU that has been started. `wakeable`: it takes interrupts, or an NMI is pending.
constexpr Hope hope_of(VcpuActivity activity, bool in_guest, bool wakeable) {
  if (activity == VcpuActivity::WaitingForStartUp) return Hope::Absent;
  const bool sleeps = in_guest && activity == VcpuActivity::Halted && !wakeable;
  return sleeps ? Hope::None : Hope::Some;
}

// `hope` gives that of each of `vcpus`.
template <typename Vcpus, typename HopeOfOne>
bool halted_for_good(const Vcpus& vcpus, HopeOfOne hope) {
  bool any = false;
  for (const auto& vcpu : vcpus) {
    const Hope one = hope(*vcpu);
    if (one == Hope::Some) return false;
    any |= one == Hope::None;
  }
  return any;
}

inline VmEnd end_by_halt() {
  return {VmEnd::Kind::Halt, 0, "every vCPU is halted with interrupts off"};
}

}  // namespace ringside::hypervisor
