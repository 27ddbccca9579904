#include "platform/ram_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "platform/shared_copy.h"

namespace ringside::hypervisor {
namespace {

tl::unexpected<Error> nothing_there(Gpa address) {
  return fail(ErrorCode::BadAddress,
              fmt::format("nothing at physical address {:#x}", address.value));
}

MemoryKind kind_of(const RamSlot& slot) {
  return slot.read_only ? MemoryKind::Rom : MemoryKind::Ram;
}

}  // namespace

MemoryKind RamMemory::kind(Gpa address) {
  if (const RamSlot* slot = ram_.find(address, 1)) return kind_of(*slot);
  return platform_.is_mmio(address) ? MemoryKind::Mmio : MemoryKind::Nothing;
}

std::vector<MemoryRegion> RamMemory::regions() {
  std::vector<MemoryRegion> regions;
  for (const RamSlot& slot : ram_.slots())
    regions.push_back({slot.base, slot.size, kind_of(slot)});
  std::sort(regions.begin(), regions.end(),
            [](const MemoryRegion& a, const MemoryRegion& b) { return a.base < b.base; });
  return regions;
}

Result<void> RamMemory::read_ram(Gpa address, std::span<std::byte> out) {
  const std::uint8_t* host = ram_.host(address, out.size());
  if (host == nullptr) return nothing_there(address);
  copy_from_shared(out, host);
  return {};
}

Result<void> RamMemory::write_ram(Gpa address, std::span<const std::byte> data) {
  std::uint8_t* host = ram_.host(address, data.size());
  if (host == nullptr) return nothing_there(address);
  ram_about_to_change(address, data.size());
  copy_to_shared(host, data);
  ram_written(address, data.size());
  return {};
}

Result<std::uint32_t> RamMemory::read_mmio(VcpuId vcpu, Gpa address, unsigned width) {
  std::uint64_t value = 0;
  if (!std::as_const(platform_).mmio_peek(vcpu, address, width, value))
    return nothing_there(address);
  return static_cast<std::uint32_t>(value);
}

Result<void> RamMemory::write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) {
  if (!platform_.mmio_write(vcpu, address, width, value)) return nothing_there(address);
  return {};
}

}  // namespace ringside::hypervisor
