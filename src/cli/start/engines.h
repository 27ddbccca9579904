// The choice of an engine: what auto takes and why, and the engine itself.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/options/options.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "ringside/x86/cpu_state.h"
#include "time/record/journal.h"

namespace ringside::cli {

// `ram` and `platform` must outlive the engine. `start` has the software CPU's processor and the
// seed of its random numbers. Says on stderr what auto took.
Result<std::unique_ptr<hypervisor::Engine>> start_engine(const Options& options,
                                                         hypervisor::GuestRam& ram,
                                                         hypervisor::Platform& platform,
                                                         const x86::CpuState& entry,
                                                         const time::RunStart& start);

// What --probe prints.
std::string describe_engines();

}  // namespace ringside::cli
