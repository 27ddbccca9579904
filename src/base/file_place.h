// Whether a file may be made under a name that somebody has typed, perhaps a debugger.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ringside {

// `name` is that of a file in an open directory, without a `/`. What has it already must be a
// regular file that `is_ours`, which is called `what`: it is replaced when the new one is complete.
// Nothing is followed, waited for or changed.
Result<void> check_file_place(int directory, const std::string& name,
                              const std::function<bool(int file)>& is_ours, std::string_view what);

}  // namespace ringside
