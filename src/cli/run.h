// From options to a machine that runs, and its end.
#pragma once

#include "cli/options/options.h"

namespace ringside::cli {

// The exit status. What goes wrong before the guest runs is an error; the caller reports it.
Result<int> run(const Options& options);

}  // namespace ringside::cli
