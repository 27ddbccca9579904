#include "platform/ram_memory.h"

#include <algorithm>

namespace ringside::hypervisor {

std::vector<MemoryRegion> list_regions(const GuestRam& ram) {
  std::vector<MemoryRegion> regions;
  for (const RamSlot& slot : ram.slots()) {
    regions.push_back({slot.base, slot.size, slot.read_only ? MemoryKind::Rom : MemoryKind::Ram});
  }
  std::sort(regions.begin(), regions.end(),
            [](const MemoryRegion& a, const MemoryRegion& b) { return a.base < b.base; });
  return regions;
}

}  // namespace ringside::hypervisor
