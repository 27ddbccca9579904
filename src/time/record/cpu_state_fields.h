// A CPU's state as bytes, field by field, the same on every host: as a journal holds it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "ringside/x86/cpu_state.h"

namespace ringside::time {

std::vector<std::byte> bytes_of(const x86::CpuState& state);
// Nothing if there are too few or too many.
std::optional<x86::CpuState> cpu_state_of(std::span<const std::byte> bytes);

}  // namespace ringside::time
