// Facts of the advanced interrupt controllers, each once: numbers of registers, what their bits
// mean, and what travels between controllers. For the machine's own, for KVM's, and for who shows
// them to a person.
#pragma once

#include <cstdint>

#include "ringside/x86/bits.h"

namespace ringside::x86::apic {

// The registers of the local APIC by number: the offset in its page / 16, or the MSR less 0x800 in
// x2APIC mode (SDM 3A tables 10-1 and 10-6). Of those that fill several, the first.
enum Register : unsigned {
  kId = 0x02,
  kVersion = 0x03,
  kTaskPriority = 0x08,
  kArbitrationPriority = 0x09,
  kProcessorPriority = 0x0a,
  kEndOfInterrupt = 0x0b,
  kRemoteRead = 0x0c,
  kLogicalDestination = 0x0d,
  kDestinationFormat = 0x0e,
  kSpurious = 0x0f,
  kInService = 0x10,    // 8 of them
  kTriggerMode = 0x18,  // 8
  kRequest = 0x20,      // 8
  kErrorStatus = 0x28,
  kLvtCmci = 0x2f,
  kCommandLow = 0x30,
  kCommandHigh = 0x31,
  kLocalVectors = 0x32,  // 6
  kInitialCount = 0x38,
  kCurrentCount = 0x39,
  kDivide = 0x3e,
  kSelfIpi = 0x3f,
};

// How large the page of registers is (SDM 3A 10.4.1); where it is, IA32_APIC_BASE says
// (ringside/x86/bits.h).
inline constexpr std::uint64_t kPageBytes = 0x1000;

// The local vector table, from kLocalVectors on (SDM 3A 10.5.1).
enum LocalVector : unsigned {
  kLvtTimer,
  kLvtThermal,
  kLvtPerformance,
  kLvtLint0,
  kLvtLint1,
  kLvtError,
};
inline constexpr unsigned kLvtCount = 6;
constexpr unsigned register_of(LocalVector vector) {
  return static_cast<unsigned>(kLocalVectors) + static_cast<unsigned>(vector);
}

// What a local vector, an interrupt command (SDM 3A 10.6.1) and a redirection entry of the I/O APIC
// (82093AA 3.2.4) have in common: the vector in bits 0 to 7 and
inline constexpr std::uint32_t kDeliveryPending = 1u << 12, kActiveLow = 1u << 13,
                               kRemoteIrr = 1u << 14, kLevelTriggered = 1u << 15,
                               kMasked = 1u << 16;
enum class DeliveryMode : std::uint8_t {
  Fixed = 0,
  LowestPriority = 1,
  Smi = 2,
  Nmi = 4,
  Init = 5,
  StartUp = 6,
  ExtInt = 7,
};
enum class DestinationMode : std::uint8_t { Physical = 0, Logical = 1 };
enum class TriggerMode : std::uint8_t { Edge = 0, Level = 1 };
inline constexpr unsigned kDeliveryModeShift = 8, kDestinationModeShift = 11;

constexpr std::uint8_t vector_of(std::uint64_t entry) { return static_cast<std::uint8_t>(entry); }
constexpr DeliveryMode delivery_mode_of(std::uint64_t entry) {
  return static_cast<DeliveryMode>(entry >> kDeliveryModeShift & 7);
}
constexpr DestinationMode destination_mode_of(std::uint64_t entry) {
  return static_cast<DestinationMode>(entry >> kDestinationModeShift & 1);
}
constexpr TriggerMode trigger_mode_of(std::uint64_t entry) {
  return (entry & kLevelTriggered) != 0 ? TriggerMode::Level : TriggerMode::Edge;
}

// Of an interrupt command alone. Its trigger mode has a meaning for INIT only.
inline constexpr std::uint32_t kCommandAssert = 1u << 14;
enum class Shorthand : std::uint8_t { None, Self, All, Others };
constexpr Shorthand shorthand_of(std::uint64_t command) {
  return static_cast<Shorthand>(command >> 18 & 3);
}
// INIT level de-assert, which only synchronises arbitration on very old processors.
constexpr bool is_init_deassert(std::uint64_t command) {
  return delivery_mode_of(command) == DeliveryMode::Init &&
         trigger_mode_of(command) == TriggerMode::Level && (command & kCommandAssert) == 0;
}

// The timer's mode is in bits 17 and 18 of its local vector (SDM 3A 10.5.4); 3 is reserved.
enum class TimerMode : std::uint8_t { OneShot = 0, Periodic = 1, TscDeadline = 2 };
constexpr unsigned timer_mode_bits(std::uint32_t lvt) { return lvt >> 17 & 3; }
// By how many bits the divide configuration shifts the count: bits 3, 1 and 0 of it; 000 is 2, 110
// is 128, 111 is 1 (SDM 3A figure 10-10).
constexpr unsigned divide_shift(std::uint32_t configuration) {
  const unsigned code = (configuration & 3) | (configuration >> 1 & 4);
  return (code + 1) & 7;
}

// The spurious-interrupt vector register (SDM 3A 10.9).
inline constexpr std::uint32_t kSoftwareEnable = 1u << 8, kFocusCheckingOff = 1u << 9;

// The error status register (SDM 3A 10.5.3).
inline constexpr std::uint32_t kSendIllegalVector = 1u << 5, kReceiveIllegalVector = 1u << 6,
                               kIllegalRegister = 1u << 7;

// A message-signalled interrupt (SDM 3A 10.11): the low half of the address that is written, and
// the value.
constexpr std::uint32_t message_address(std::uint32_t destination, DestinationMode mode) {
  return static_cast<std::uint32_t>(kDefaultBase) | destination << 12 |
         static_cast<std::uint32_t>(mode) << 2;
}
constexpr std::uint32_t message_data(std::uint8_t vector, DeliveryMode mode) {
  return vector | static_cast<std::uint32_t>(mode) << kDeliveryModeShift | kCommandAssert;
}

}  // namespace ringside::x86::apic

// The I/O APIC (82093AA data sheet; the EOI register is that of version 0x20).
namespace ringside::x86::io_apic {

inline constexpr std::uint64_t kBase = 0xfec00000, kSize = 0x1000;
inline constexpr unsigned kPins = 24;
// Offsets in its page: which register is meant, and its value.
inline constexpr std::uint64_t kSelect = 0x00, kWindow = 0x10, kEoi = 0x40;
// Registers by number; of the redirection table two for each pin, the low half first.
inline constexpr std::uint32_t kId = 0, kVersion = 1, kArbitration = 2, kEntries = 0x10;
// Of a redirection entry; the rest of its low bits is above.
inline constexpr std::uint64_t kReadOnlyBits = apic::kRemoteIrr | apic::kDeliveryPending;

}  // namespace ringside::x86::io_apic
