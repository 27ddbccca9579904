// The commit that this program was built from.
#pragma once

#include <string_view>

namespace ringside::cli {

// Abbreviated, and with "-changed" behind it where the sources were not those of the commit. Empty
// where there was neither git nor a source package that knows. Its source is made by the build
// (cmake/commit.cmake).
std::string_view commit();

}  // namespace ringside::cli
