#include "engine/kvm/kvm_memory.h"

#include <fmt/format.h>

#include "platform/ram_memory.h"
#include "platform/shared_copy.h"

namespace ringside::kvm {
namespace {

constexpr std::uint64_t kPage = 0x1000, kLocalApic = 0xfee00000;

tl::unexpected<Error> nothing_there(Gpa address) {
  return fail(ErrorCode::BadAddress,
              fmt::format("nothing at physical address {:#x}", address.value));
}

}  // namespace

hypervisor::MemoryKind KvmMemory::kind(Gpa address) {
  if (const hypervisor::RamSlot* slot = system_.ram.find(address, 1)) {
    return slot->read_only ? hypervisor::MemoryKind::Rom : hypervisor::MemoryKind::Ram;
  }
  return system_.platform.is_mmio(address) ? hypervisor::MemoryKind::Mmio
                                           : hypervisor::MemoryKind::Nothing;
}

std::vector<hypervisor::MemoryRegion> KvmMemory::regions() {
  return hypervisor::list_regions(system_.ram);
}

Result<void> KvmMemory::read_ram(Gpa address, std::span<std::byte> out) {
  const std::uint8_t* host = system_.ram.host(address, out.size());
  if (host == nullptr) return nothing_there(address);
  hypervisor::copy_from_shared(out, host);
  return {};
}

Result<void> KvmMemory::write_ram(Gpa address, std::span<const std::byte> data) {
  std::uint8_t* host = system_.ram.host(address, data.size());
  if (host == nullptr) return nothing_there(address);
  hypervisor::copy_to_shared(host, data);
  return {};
}

std::span<const std::byte> KvmMemory::view(Gpa address, std::uint64_t size) {
  return system_.ram.view(address, size);
}

Result<std::uint32_t> KvmMemory::read_mmio(VcpuId vcpu, Gpa address, unsigned width) {
  const auto cut = [width](std::uint32_t all) {
    return width < 4 ? all & ((1u << 8 * width) - 1) : all;
  };
  if (is_local_apic(address)) {
    const EverybodyOut out(system_.gate);
    return cut(TRY(vcpus_[vcpu.value]->local_apic().read(address.value - kLocalApic)));
  }
  if (is_io_apic(address))
    return cut(TRY(system_.controllers->read_io_apic(address.value % kPage)));
  std::uint64_t value = 0;
  const hypervisor::Platform& platform = system_.platform;
  if (!platform.mmio_peek(vcpu, address, width, value)) return nothing_there(address);
  return static_cast<std::uint32_t>(value);
}

Result<void> KvmMemory::write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) {
  if (is_local_apic(address)) {
    const EverybodyOut out(system_.gate);
    return vcpus_[vcpu.value]->local_apic().write(address.value - kLocalApic, value);
  }
  if (is_io_apic(address)) return system_.controllers->write_io_apic(address.value % kPage, value);
  if (!system_.platform.mmio_write(vcpu, address, width, value)) return nothing_there(address);
  return {};
}

bool KvmMemory::is_local_apic(Gpa address) const {
  return system_.controllers && address.value - kLocalApic < kPage;
}

bool KvmMemory::is_io_apic(Gpa address) const {
  return system_.controllers &&
         address.value - KernelControllers::kIoApicBase.value < KernelControllers::kIoApicSize;
}

}  // namespace ringside::kvm
