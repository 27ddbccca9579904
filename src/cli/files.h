// Files named on the command line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ringside::cli {

// The whole file. The error names `what` and the file.
Result<std::vector<std::byte>> read_file(const std::string& path, std::string_view what);

}  // namespace ringside::cli
