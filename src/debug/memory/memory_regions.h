// Ranges of memory of which one thing is true: what qMemoryRegionInfo tells. Pure functions of the
// page tables as they are, or of the list of RAM and ROM.
#pragma once

#include <cstdint>
#include <vector>

#include "hypervisor/guest_memory.h"
#include "ringside/types.h"
#include "ringside/vm.h"

namespace ringside::debug {

struct MemoryStretch {
  std::uint64_t first = 0, last = 0;  // both belong to it
  bool readable = false, writable = false, executable = false;
};

// The linear addresses around `address` that are mapped with the same rights, or are not mapped, as
// the page tables have it; what they lead to does not matter. Neighbours are joined, up to a number
// that bounds the work of one request.
MemoryStretch linear_stretch(const hypervisor::LinearMap& map, Gva address);

// The same for physical addresses: RAM, ROM, or what is between. Everything is memory where nobody
// can list it.
MemoryStretch physical_stretch(const std::vector<hypervisor::MemoryRegion>& regions, Gpa address);

}  // namespace ringside::debug
