#include "machine/firmware_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "machine/smbios/smbios.h"

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

namespace {

// As QEMU has them: a byte for each of S0 to S5, the type for SLP_TYP with the highest bit where
// the machine has that state.
std::string sleep_states() {
  constexpr std::uint8_t kHas = 0x80;
  std::string states(6, '\0');
  states[0] = static_cast<char>(kHas);
  states[3] = static_cast<char>(kHas | kSleepTypeS3);
  states[5] = static_cast<char>(kHas | kSleepTypeS5OfFirmware);
  return states;
}

// Paths as Open Firmware has them, each on a line of its own, and a zero at the end: the disks in
// their order, each function 0 of its device.
std::string boot_order(std::size_t disks) {
  std::string order;
  for (std::size_t i = 0; i < disks && i < kMaxVirtioDevices; ++i) {
    order += fmt::format("{}/pci@i0cf8/scsi@{:x}/disk@0,0", order.empty() ? "" : "\n",
                         kVirtioFirstPciDevice + i);
  }
  return order + '\0';
}

}  // namespace

std::vector<FirmwareConfig::File> firmware_files(const MachineOptions& machine,
                                                 const hypervisor::GuestRam& ram) {
  const std::uint64_t low = ram.low_end().value;
  Smbios smbios = make_smbios({machine.vcpus, low, ram.size() - low});
  std::vector<FirmwareConfig::File> files = {
      {"etc/system-states", sleep_states()},
      {"etc/smbios/smbios-anchor", std::move(smbios.entry)},
      {"etc/smbios/smbios-tables", std::move(smbios.tables)}};
  if (machine.virtio_bus == VirtioBus::Pci && !machine.disks.empty())
    files.push_back({"bootorder", boot_order(machine.disks.size())});
  return files;
}

}  // namespace ringside::machine
