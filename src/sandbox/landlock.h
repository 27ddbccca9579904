// Landlock (landlock(7)): no file, directory or device can be opened, made or removed by name any
// more, and no TCP port bound or connected to. What is open stays open. Kernels have it since Linux
// 5.13, each version with more of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace ringside::sandbox {

// The version of what this kernel has: 1 and more.
Result<int> landlock_version();

// For the thread that calls it and those that it starts, for good. It needs PR_SET_NO_NEW_PRIVS.
Result<void> forbid_names();

// The same, but that files in these folders and below can be read, and TCP ports connected to. A
// folder that is not there is no error.
Result<void> forbid_names_outside(std::span<const std::string> readable_folders);

// The same as forbid_names(), but for what is below a folder: regular files and directories there
// are read, and perhaps written, made, renamed and removed. Not with version 1, which forbids every
// rename from one directory to another (landlock(7)).
enum class Below : std::uint8_t { Read, ReadAndWrite };
Result<void> forbid_names_but_below(const Fd& folder, Below what);

}  // namespace ringside::sandbox
