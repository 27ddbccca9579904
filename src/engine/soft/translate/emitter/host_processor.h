// What host code needs of the host's processor beside the instructions that every x86-64 has.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace ringside::soft::host_processor {

// ECX of CPUID 0x80000001, as this processor gives it; 0 where it knows no such leaf.
std::uint32_t extended_features();

// LAHF and SAHF in 64-bit mode, which the first processors of the architecture lack (SDM 2A, LAHF:
// bit 0). The error names what is missing.
Result<void> suffices(std::uint32_t extended_features);

}  // namespace ringside::soft::host_processor
