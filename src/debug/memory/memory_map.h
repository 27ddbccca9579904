// What qXfer:memory-map says. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "debug/memory/shadowed_memory.h"
#include "ringside/vm.h"

namespace ringside::debug {

// For linear addresses, or where nothing is known of the physical ones, all that there are: which
// lead to memory is a matter of page tables that the guest changes. Otherwise RAM and ROM. A client
// may refuse what lies outside the map, and take its own means from a region's type.
std::string memory_map(AddressKind addresses, const std::vector<hypervisor::MemoryRegion>& regions);

}  // namespace ringside::debug
