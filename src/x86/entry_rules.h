// Which states a processor does not run (SDM 3C 26.3.1, the checks of VM entry on the guest's
// state), as far as they concern modes and segments: what a debugger could write and no instruction
// leaves behind. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "ringside/x86/cpu_state.h"

namespace ringside::x86 {

// EFER.LMA follows from EFER.LME and CR0.PG; nobody sets it (SDM 3A 9.8.5).
void derive_long_mode(CpuState& state);

// A rule that `after` breaks and `before` does not, in words; nothing where there is none. A state
// that breaks a rule already may stay so, because it is the guest's.
std::optional<std::string_view> broken_rule(const CpuState& before, const CpuState& after);

}  // namespace ringside::x86
