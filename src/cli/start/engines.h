// The choice of an engine: what auto takes and why, and the engine itself.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/options/options.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::cli {

// `ram` and `platform` must outlive the engine. `seed`: of the software CPU's random numbers. Says
// on stderr what auto took.
Result<std::unique_ptr<hypervisor::Engine>> start_engine(const Options& options,
                                                         hypervisor::GuestRam& ram,
                                                         hypervisor::Platform& platform,
                                                         const x86::CpuState& entry,
                                                         std::uint64_t seed);

// What --probe prints.
std::string describe_engines();

}  // namespace ringside::cli
