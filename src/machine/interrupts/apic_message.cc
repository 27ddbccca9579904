#include "machine/interrupts/apic_message.h"

namespace ringside::machine {

std::optional<ApicMessage> message_of(std::uint64_t address, std::uint32_t data) {
  constexpr std::uint64_t kPlace = 0xfee00000, kPlaceMask = ~std::uint64_t{0xfffff};
  constexpr unsigned kLogical = 1u << 2, kLevel = 1u << 15;
  if ((address & kPlaceMask) != kPlace) return std::nullopt;
  ApicMessage message;
  message.destination = address >> 12 & 0xff;
  message.destination_mode =
      (address & kLogical) != 0 ? DestinationMode::Logical : DestinationMode::Physical;
  if (message.destination == 0xff && message.destination_mode == DestinationMode::Physical)
    message.destination = kBroadcast;
  message.delivery_mode = x86::apic::delivery_mode_of(data);
  if (message.delivery_mode == DeliveryMode::StartUp) return std::nullopt;  // not for devices
  message.trigger_mode = (data & kLevel) != 0 ? TriggerMode::Level : TriggerMode::Edge;
  message.vector = static_cast<std::uint8_t>(data);
  return message;
}

}  // namespace ringside::machine
