// What a machine can be caught at, in the words that people read. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ringside/exit.h"
#include "ringside/types.h"

namespace ringside::debug {

// "#PF", or empty for a vector that is no exception.
std::string_view exception_name(std::uint32_t vector);
// "vCPU 0 is about to get exception #PF (14), error code 0x2, for address 0x1000", ...
std::string words_of(VcpuId vcpu, const hypervisor::exit::Caught& what);

}  // namespace ringside::debug
