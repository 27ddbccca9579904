// The monitor command `save`.
#pragma once

#include <functional>

#include "base/folder.h"
#include "base/result.h"
#include "machine/machine.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "ringside/options.h"
#include "time/saved/saved_options.h"

namespace ringside::cli {

// What a machine is saved of. Everything outlives the server.
struct SaveSubjects {
  hypervisor::Engine& engine;
  machine::Machine& machine;
  const hypervisor::GuestRam& ram;
  std::function<Result<time::SavedOptions>()> options;  // as they are at that moment
};

// `folder`: that of a debugger's files.
debug::MonitorCommand save_command(const SaveSubjects& subjects, Folder& folder);

}  // namespace ringside::cli
