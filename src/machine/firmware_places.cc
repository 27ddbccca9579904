#include "machine/firmware_places.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace ringside::machine {

AddressRange pci_range(const hypervisor::GuestRam& ram) {
  const Gpa base = std::max(kPciLowest, ram.low_end());
  return {base, kPciEnd.value - base.value};
}

Gpa firmware_base(const hypervisor::GuestRam& ram) {
  Gpa base{std::uint64_t{1} << 32};
  for (const hypervisor::RamSlot& slot : ram.slots()) {
    if (slot.read_only) base = std::min(base, slot.base);
  }
  return base;
}

AcpiOptions acpi_for_firmware(const MachineOptions& machine, unsigned virtio_devices,
                              const PciMemory& pci,
                              const std::optional<AddressRange>& pci_configuration) {
  AcpiOptions told;
  told.vcpus = machine.vcpus;
  told.virtio_devices = virtio_devices;
  told.virtio_bus = machine.virtio_bus;
  told.text_card = machine.text_card;
  told.pci_configuration = pci_configuration;
  std::vector<AddressRange> taken;
  if (pci_configuration) taken.push_back(*pci_configuration);
  if (machine.virtio_bus == VirtioBus::Mmio)
    taken.push_back({kVirtioBase, kMaxVirtioDevices * kVirtioStride});
  told.pci_windows = pci.range_without(std::move(taken));
  return told;
}

}  // namespace ringside::machine
