// What a vCPU does and which mode it is in, in the words that people read. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ringside/vm.h"

namespace ringside::debug {

// "running", "halted", "waiting for start-up", ...
std::string_view words_of(hypervisor::VcpuActivity activity);
enum class CpuMode : std::uint8_t { Real, Virtual8086, Protected, Compatibility, Long64 };
CpuMode mode_of(const x86::CpuState& state);  // SDM 3A 2.2
// In one word, as lists of vCPUs have it.
std::string_view short_name(CpuMode mode);
// "real mode", "protected mode 32-bit, CPL 3", "long mode, CPL 0", ...
std::string words_of_mode(const x86::CpuState& state);
// Both, or of a vCPU that is in the guest only what can be said without stopping it.
std::string describe(hypervisor::Vcpu& vcpu);

}  // namespace ringside::debug
