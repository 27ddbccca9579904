// Where a guest that we loaded goes on when its machine wakes: what firmware does with the FACS
// (ACPI specification 5.0, 5.2.10 and 16.3). The guest has written it, so it may say anything.
#pragma once

#include <optional>

#include "platform/guest_ram.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::machine {

// The boot processor's state then. Nothing: the guest has left no vector.
std::optional<x86::CpuState> waking_state(const hypervisor::GuestRam& ram);

}  // namespace ringside::machine
