// The monitor command `hash`.
#pragma once

#include "machine/machine.h"
#include "platform/guest_ram.h"
#include "platform/recordable.h"
#include "ringside/options.h"

namespace ringside::cli {

// Everything outlives the server.
debug::MonitorCommand hash_command(hypervisor::Recordable& engine, machine::Machine& machine,
                                   const hypervisor::GuestRam& ram);

}  // namespace ringside::cli
