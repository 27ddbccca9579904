// What `ringside run` makes of its options before anything of the machine is made: the kernel that
// was not named, an initramfs, a command line.
#pragma once

#include "base/result.h"
#include "cli/options/options.h"
#include "cli/run/kernel_files.h"

namespace ringside::cli {

// Afterwards they are those of a plain start with a KERNEL. Says on stderr which kernel it is, and
// what that lacks. Before the process gives up its rights; without effect on other options.
Result<void> prepare_run(Options& options, const Places& places);

}  // namespace ringside::cli
