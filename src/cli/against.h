// --replay A --against B: where two recorded runs of one start part.
#pragma once

#include "base/result.h"
#include "cli/options/options.h"

namespace ringside::cli {

// Says it on standard output. The exit status: 0 for the same run, kDifferentStatus else. The guest
// puts nothing out, and its disks stay as they are.
Result<int> compare_runs(const Options& given);

// No run of a guest ends with it: what the debug-exit port gives is odd, and everything else is
// below.
inline constexpr int kDifferentStatus = 6;

}  // namespace ringside::cli
