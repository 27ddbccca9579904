#include "engine/soft/soft_memory.h"

#include <fmt/format.h>

#include <cstring>

namespace ringside::soft {
namespace {
tl::unexpected<Error> nothing_there(Gpa address) {
  return fail(ErrorCode::BadAddress,
              fmt::format("nothing at physical address {:#x}", address.value));
}
}  // namespace

hypervisor::MemoryKind SoftMemory::kind(Gpa address) {
  if (const hypervisor::RamSlot* slot = system_.ram.find(address, 1)) {
    return slot->read_only ? hypervisor::MemoryKind::Rom : hypervisor::MemoryKind::Ram;
  }
  return system_.platform.is_mmio(address) ? hypervisor::MemoryKind::Mmio
                                           : hypervisor::MemoryKind::Nothing;
}

Result<void> SoftMemory::read_ram(Gpa address, std::span<std::byte> out) {
  const std::uint8_t* host = system_.ram.host(address, out.size());
  if (host == nullptr) return nothing_there(address);
  std::memcpy(out.data(), host, out.size());
  return {};
}

Result<void> SoftMemory::write_ram(Gpa address, std::span<const std::byte> data) {
  std::uint8_t* host = system_.ram.host(address, data.size());
  if (host == nullptr) return nothing_there(address);
  std::memcpy(host, data.data(), data.size());
  system_.ram_written(address, data.size());
  return {};
}

Result<std::uint32_t> SoftMemory::read_mmio(VcpuId vcpu, Gpa address, unsigned width) {
  std::uint64_t value = 0;
  const hypervisor::Platform& platform = system_.platform;
  if (!platform.mmio_peek(vcpu, address, width, value)) return nothing_there(address);
  return static_cast<std::uint32_t>(value);
}

Result<void> SoftMemory::write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) {
  if (!system_.platform.mmio_write(vcpu, address, width, value)) return nothing_there(address);
  return {};
}

}  // namespace ringside::soft
