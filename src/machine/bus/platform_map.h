// Addresses and interrupt numbers that devices, ACPI tables and firmware interfaces must agree on.
#pragma once

#include <cstdint>

#include "ringside/types.h"

namespace ringside::machine {

// ACPI fixed hardware.
inline constexpr std::uint16_t kPm1Event = 0x600, kPm1Control = 0x604, kPmTimer = 0x608;
inline constexpr unsigned kSciLine = 9;
inline constexpr unsigned kSleepTypeS5 = 5;
inline constexpr std::uint16_t kResetPort = 0xcf9;
inline constexpr std::uint8_t kResetValue = 6;

// Virtio devices: one page and one I/O APIC pin each.
inline constexpr Gpa kVirtioBase{0xd0000000};
inline constexpr std::uint64_t kVirtioStride = 0x1000, kVirtioSize = 0x200;
inline constexpr unsigned kVirtioFirstLine = 16, kMaxVirtioDevices = 8;

}  // namespace ringside::machine
