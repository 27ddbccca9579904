// What the process may do once the guest runs: use what it has open, and nothing else. In this
// order: keeper.h before anything of a guest is read, user.h and this when everything is open.
// Nothing here is undone, and nothing starts by itself: who embeds the library decides for its own
// process.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "sandbox/system_calls.h"

namespace ringside::sandbox {

// Why there can be none in this program; empty if there can.
std::string why_none();

// For the whole process and for good. An error: nothing is forbidden, but for new privileges.
// Without Landlock the filter does alone.
Result<void> enter(Engine engine);

// For --probe, a line for each part. Tried out in a process of its own.
std::string describe();

}  // namespace ringside::sandbox
