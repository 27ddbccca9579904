// What a PC's BIOS leaves in memory, for kernels that we load and that look there: interrupt
// vectors, the BIOS data area and its extension (EBDA), and the tables of the last 64 KiB below
// 1 MiB. Of its services there is none: whoever calls one comes back at once.
//
// Where things are in the data area is IBM's PS/2 and PC BIOS Interface Technical Reference.
#pragma once

#include "base/result.h"
#include "platform/guest_ram.h"

namespace ringside::machine {

// The extended BIOS data area, whose first byte is its size in KiB. Conventional memory ends here.
inline constexpr Gpa kExtendedBios{0x9fc00};
inline constexpr std::uint64_t kExtendedBiosSize = 0x400;
// 64 KiB of a BIOS: the MP configuration table, PCI's interrupt routing table, SMBIOS, and code
// for vectors.
inline constexpr Gpa kBiosStart{0xf0000};
inline constexpr std::uint64_t kBiosSize = 0x10000;

struct BiosRemains {
  unsigned vcpus = 1;
  unsigned pci_devices = 0;  // virtio devices on PCI: the first so many of platform_map.h
  bool text_card = false;    // a VGA card, in 80 by 25 characters
};

// Before anything is loaded: a kernel that wants these places has them. Called once by a boot
// loader, before the engine exists.
Result<void> leave_bios(hypervisor::GuestRam& ram, const BiosRemains& remains);

}  // namespace ringside::machine
