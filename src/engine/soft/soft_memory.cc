#include "engine/soft/soft_memory.h"

namespace ringside::soft {

namespace change = hypervisor::change;

Result<void> SoftMemory::write_ram(Gpa address, std::span<const std::byte> data) {
  TRY(RamMemory::write_ram(address, data));
  if (board_.changed) board_.tell(change::MemoryWrite{address, {data.begin(), data.end()}});
  return {};
}

Result<void> SoftMemory::write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) {
  TRY(RamMemory::write_mmio(vcpu, address, width, value));
  board_.tell(change::DeviceWrite{vcpu, address, width, value});
  return {};
}

}  // namespace ringside::soft
