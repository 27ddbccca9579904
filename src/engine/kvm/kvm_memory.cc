#include "engine/kvm/kvm_memory.h"

#include "x86/apic_registers.h"

namespace ringside::kvm {

Result<std::uint32_t> KvmMemory::read_mmio(VcpuId vcpu, Gpa address, unsigned width) {
  const auto cut = [width](std::uint32_t all) {
    return width < 4 ? all & ((1u << 8 * width) - 1) : all;
  };
  if (is_local_apic(address)) {
    const EverybodyOut out(system_.gate);
    return cut(TRY(vcpus_[vcpu.value]->local_apic().read(address.value - x86::apic::kDefaultBase)));
  }
  if (is_io_apic(address))
    return cut(TRY(system_.controllers->read_io_apic(address.value - x86::io_apic::kBase)));
  return RamMemory::read_mmio(vcpu, address, width);
}

Result<void> KvmMemory::write_mmio(VcpuId vcpu, Gpa address, unsigned width, std::uint32_t value) {
  if (is_local_apic(address)) {
    const EverybodyOut out(system_.gate);
    return vcpus_[vcpu.value]->local_apic().write(address.value - x86::apic::kDefaultBase, value);
  }
  if (is_io_apic(address))
    return system_.controllers->write_io_apic(address.value - x86::io_apic::kBase, value);
  return RamMemory::write_mmio(vcpu, address, width, value);
}

bool KvmMemory::is_local_apic(Gpa address) const {
  return system_.controllers && address.value - x86::apic::kDefaultBase < x86::apic::kPageBytes;
}

bool KvmMemory::is_io_apic(Gpa address) const {
  return system_.controllers && address.value - x86::io_apic::kBase < x86::io_apic::kSize;
}

}  // namespace ringside::kvm
