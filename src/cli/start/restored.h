// Options of a run that goes on with a saved machine.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/options/options.h"
#include "time/saved/saved_options.h"

namespace ringside::cli {

// What was given, and the machine's own options where nothing was. What would make it another
// machine is refused in words, and so is a disk image that has changed since and was not named.
Result<Options> as_saved(const Options& given, const time::SavedOptions& saved);

// The line that says so.
std::string describe_restored(const std::string& path, const time::SavedOptions& saved);

}  // namespace ringside::cli
