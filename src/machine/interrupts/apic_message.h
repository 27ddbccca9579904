// What travels on the bus between interrupt controllers (SDM 3A 10.6 and 10.11).
#pragma once

#include <cstdint>
#include <optional>

#include "x86/apic_registers.h"

namespace ringside::machine {

using x86::apic::DeliveryMode;
using x86::apic::DestinationMode;
using x86::apic::TriggerMode;

inline constexpr std::uint32_t kBroadcast = 0xffffffff;

struct ApicMessage {
  // An 8-bit sender's 0xff in physical mode is already widened to kBroadcast.
  std::uint32_t destination = 0;
  DestinationMode destination_mode = DestinationMode::Physical;
  DeliveryMode delivery_mode = DeliveryMode::Fixed;
  TriggerMode trigger_mode = TriggerMode::Edge;
  std::uint8_t vector = 0;
};

// What a device's write of `data` to `address` asks for (SDM 3A 11.11). Nothing, where that is no
// place for interrupts.
std::optional<ApicMessage> message_of(std::uint64_t address, std::uint32_t data);

}  // namespace ringside::machine
