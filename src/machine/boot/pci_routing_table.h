// PCI's interrupt routing table of a BIOS ("$PIR", Microsoft's PCI IRQ Routing Table Specification
// 1.0): which input of the 8259s each device's pin reaches. Here none does, which the table says:
// PCI interrupts are on the I/O APIC alone.
#pragma once

#include <cstddef>
#include <vector>

namespace ringside::machine {

// To be placed at a multiple of 16 in the last 64 KiB below 1 MiB.
std::vector<std::byte> make_pci_routing_table(unsigned pci_devices);

}  // namespace ringside::machine
