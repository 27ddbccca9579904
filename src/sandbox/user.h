// Whose rights the process has.
#pragma once

#include <string>

#include "base/result.h"

namespace ringside::sandbox {

bool runs_as_root();

// Whether there is such a user and the process may become one: root's alone may.
Result<void> check_user(const std::string& name);

// The user's rights and groups instead of root's, for all threads and for good.
Result<void> become(const std::string& name);

}  // namespace ringside::sandbox
