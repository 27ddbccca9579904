// Files named on the command line.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ringside::cli {

// The whole file. The error names `what` and the file. While a pipe has nothing, `meanwhile` is
// called now and then.
Result<std::vector<std::byte>> read_file(const std::string& path, std::string_view what,
                                         const std::function<void()>& meanwhile = {});

}  // namespace ringside::cli
