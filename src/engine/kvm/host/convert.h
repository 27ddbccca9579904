// Between KVM's register structs and x86::CpuState. Pure; no ioctl.
#pragma once

#include <linux/kvm.h>

#include <array>
#include <cstdint>

#include "ringside/x86/cpu_state.h"

namespace ringside::kvm {

// What KVM keeps in separate ioctls, together.
struct Registers {
  kvm_regs general{};
  kvm_sregs system{};
  kvm_fpu fpu{};
  kvm_debugregs debug{};
  // Of the XSAVE area.
  std::array<std::array<std::uint8_t, 16>, 16> ymm_high{};
  std::uint32_t pkru = 0;
};

x86::CpuState to_state(const Registers& registers);
// Changes what a CpuState knows and leaves the rest (interrupt bitmap, flags) as it is.
void from_state(const x86::CpuState& state, Registers& registers);

}  // namespace ringside::kvm
