// Guest memory as a debugger sees it, of engines whose memory is a GuestRam.
#pragma once

#include <vector>

#include "platform/guest_ram.h"
#include "ringside/vm.h"

namespace ringside::hypervisor {

// Memory::regions().
std::vector<MemoryRegion> list_regions(const GuestRam& ram);

}  // namespace ringside::hypervisor
