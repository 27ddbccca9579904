// Addresses and interrupt numbers that devices, ACPI tables and firmware interfaces must agree on.
#pragma once

#include <cstdint>

#include "ringside/types.h"

namespace ringside::machine {

struct AddressRange {
  Gpa base;
  std::uint64_t size = 0;
};

// ACPI fixed hardware.
inline constexpr std::uint16_t kPm1Event = 0x600, kPm1Control = 0x604, kPmTimer = 0x608;
inline constexpr unsigned kSciLine = 9;
// What the tables tell of S3 and S5, and what firmware for QEMU's machines knows without them.
inline constexpr unsigned kSleepTypeS3 = 1, kSleepTypeS5 = 5, kSleepTypeS5OfFirmware = 0;
// The tables of a kernel that we load: the root, and behind it the rest, whose first one is the
// FACS.
inline constexpr Gpa kAcpiStart{0xe0000}, kFacs{0xe0040};
inline constexpr std::uint16_t kResetPort = 0xcf9;
inline constexpr std::uint8_t kResetValue = 6;

// The high-precision event timer.
inline constexpr Gpa kHpet{0xfed00000};
inline constexpr std::uint64_t kHpetSize = 0x400;

// The text mode in which a VGA card is handed to a kernel that we load: mode 3.
inline constexpr std::uint8_t kTextMode = 3, kTextColumns = 80, kTextRows = 25, kTextLines = 16;

// How the guest reaches virtio devices.
enum class VirtioBus : std::uint8_t { Mmio, Pci };

// PCI has all of memory between RAM below 4 GiB, or 2 GiB where there is less, and the I/O APIC.
inline constexpr Gpa kPciLowest{0x80000000}, kPciEnd{0xfec00000};
// There, where firmware gives no other places: configuration space, and addresses of functions.
inline constexpr Gpa kPciEcamBase{0xe0000000}, kPciWindowBase{0xc0000000};
inline constexpr std::uint64_t kPciEcamSize = 0x10000000, kPciWindowSize = 0x10000000;
// Devices of the PCI bus from this one up are virtio ones.
inline constexpr unsigned kVirtioFirstPciDevice = 1;

// Virtio devices on the MMIO transport: one page each. On either transport each has one I/O APIC
// pin.
inline constexpr Gpa kVirtioBase{0xd0000000};
inline constexpr std::uint64_t kVirtioStride = 0x1000, kVirtioSize = 0x200;
inline constexpr unsigned kVirtioFirstLine = 16, kMaxVirtioDevices = 8;

}  // namespace ringside::machine
