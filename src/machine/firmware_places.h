// Where firmware finds the machine's parts: what its ACPI tables tell, and what of the memory bus
// is PCI's or its own.
#pragma once

#include <optional>
#include <vector>

#include "machine/acpi/acpi_tables.h"
#include "machine/bus/platform_map.h"
#include "machine/firmware/firmware_config.h"
#include "machine/machine.h"
#include "machine/pci/pci_memory.h"
#include "platform/guest_ram.h"

namespace ringside::machine {

// All that PCI may have.
AddressRange pci_range(const hypervisor::GuestRam& ram);

// The lowest address of what is mapped read-only; 4 GiB where nothing is.
Gpa firmware_base(const hypervisor::GuestRam& ram);

// `pci_configuration`: where configuration space is in memory, if it is.
AcpiOptions acpi_for_firmware(const MachineOptions& machine, unsigned virtio_devices,
                              const PciMemory& pci,
                              const std::optional<AddressRange>& pci_configuration);

// What else firmware finds in its configuration: which sleep states there are, SMBIOS tables, and
// the order in which disks are booted.
std::vector<FirmwareConfig::File> firmware_files(const MachineOptions& machine,
                                                 const hypervisor::GuestRam& ram);

}  // namespace ringside::machine
