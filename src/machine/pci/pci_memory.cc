#include "machine/pci/pci_memory.h"

#include <algorithm>

namespace ringside::machine {

std::vector<AddressRange> PciMemory::range_without(std::vector<AddressRange> taken) const {
  std::sort(taken.begin(), taken.end(),
            [](const AddressRange& a, const AddressRange& b) { return a.base < b.base; });
  const std::uint64_t end = range_.base.value + range_.size;
  taken.push_back({{end}, 0});
  std::vector<AddressRange> free;
  std::uint64_t from = range_.base.value;
  for (const AddressRange& hole : taken) {
    const std::uint64_t to = std::min(hole.base.value, end);
    if (to > from) free.push_back({{from}, to - from});
    from = std::max(from, hole.base.value + hole.size);
  }
  return free;
}

std::optional<MmioAccess> PciMemory::to_configuration(const MmioAccess& access) const {
  const std::optional<AddressRange> range = bridge_.configuration_in_memory();
  if (!range) return std::nullopt;
  const std::uint64_t offset = range_.base.value + access.offset - range->base.value;
  if (offset >= range->size) return std::nullopt;
  return MmioAccess{access.vcpu, offset, access.width};
}

bool PciMemory::answers(std::uint64_t offset) const {
  return to_configuration({{}, offset, 1}) || functions_.answers(offset);
}

std::uint64_t PciMemory::read_mmio(const MmioAccess& access) {
  if (const auto there = to_configuration(access)) return configuration_.read_mmio(*there);
  return functions_.read_mmio(access);
}

std::uint64_t PciMemory::peek_mmio(const MmioAccess& access) const {
  if (const auto there = to_configuration(access)) return configuration_.peek_mmio(*there);
  return functions_.peek_mmio(access);
}

void PciMemory::write_mmio(const MmioAccess& access, std::uint64_t value) {
  if (const auto there = to_configuration(access)) {
    configuration_.write_mmio(*there, value);
  } else {
    functions_.write_mmio(access, value);
  }
}

}  // namespace ringside::machine
