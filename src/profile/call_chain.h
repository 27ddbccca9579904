// Which functions have led to where a vCPU is, as far as its stack tells.
//
// A frame pointer is followed where it leads to a return address: one behind a CALL, and, where the
// functions are known, behind a CALL of the function that the chain has come from or of one that is
// not to be seen. Where there is no such frame pointer, as in kernels that are built without, known
// code's stack is searched for such an address; what is found so is a guess, because a stack keeps
// addresses of calls that are over.
//
// Bounded, whatever the guest has on its stack; RAM only.
#pragma once

#include <cstdint>
#include <vector>

#include "profile/guest_code.h"
#include "ringside/vm.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::profile {

struct ChainFrame {
  enum class By : std::uint8_t { Rip, FramePointer, Guess };
  Gva address;  // where the function goes on; linear
  By by = By::Rip;
};

inline constexpr std::size_t kMostFrames = 64;

// The innermost first, which is the vCPU's RIP.
std::vector<ChainFrame> call_chain(hypervisor::Vm& vm, VcpuId vcpu, const x86::CpuState& state,
                                   GuestCode& code);

}  // namespace ringside::profile
