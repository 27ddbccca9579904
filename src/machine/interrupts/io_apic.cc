#include "machine/interrupts/io_apic.h"

namespace ringside::machine {
namespace {

constexpr std::uint32_t kVersion = 0x20 | (IoApic::kPins - 1) << 16;
constexpr std::uint32_t kSelect = 0x00, kWindow = 0x10, kEoi = 0x40;
constexpr std::uint32_t kEntries = 0x10;

// Redirection entry.
constexpr std::uint64_t kRemoteIrr = 1 << 14, kLevel = 1 << 15, kMasked = 1 << 16;
constexpr std::uint64_t kReadOnly = kRemoteIrr | 1 << 12;
constexpr std::uint64_t kWritable = 0xff0000000001afff;

}  // namespace

void IoApic::reset() {
  const std::uint32_t pins = state_.pins;
  state_ = State{};
  state_.pins = pins;
  state_.id = kId;
  state_.entry.fill(kMasked);
}

void IoApic::set_pin(unsigned pin, bool asserted) {
  if (pin >= kPins) return;
  const std::uint32_t bit = 1u << pin;
  const bool rising = asserted && (state_.pins & bit) == 0;
  state_.pins = asserted ? state_.pins | bit : state_.pins & ~bit;
  const std::uint64_t entry = state_.entry[pin];
  if ((entry & kLevel) != 0) {
    service_level(pin);
  } else if (rising && (entry & kMasked) == 0) {
    deliver(pin);  // an edge while masked is lost, as the data sheet says
  }
}

void IoApic::service_level(unsigned pin) {
  const std::uint64_t entry = state_.entry[pin];
  const bool asserted = (state_.pins >> pin & 1) != 0;
  if (asserted && (entry & (kMasked | kRemoteIrr)) == 0) deliver(pin);
}

void IoApic::deliver(unsigned pin) {
  std::uint64_t& entry = state_.entry[pin];
  ApicMessage message;
  message.vector = static_cast<std::uint8_t>(entry);
  message.delivery_mode = static_cast<DeliveryMode>(entry >> 8 & 7);
  message.destination_mode = static_cast<DestinationMode>(entry >> 11 & 1);
  const bool level = (entry & kLevel) != 0;
  message.trigger_mode = level ? TriggerMode::Level : TriggerMode::Edge;
  message.destination = static_cast<std::uint32_t>(entry >> 56);
  if (message.destination == 0xff && message.destination_mode == DestinationMode::Physical) {
    message.destination = kBroadcast;
  }
  if (apics_.deliver(message) && level) entry |= kRemoteIrr;
}

void IoApic::end_of_interrupt(std::uint8_t vector) {
  for (unsigned pin = 0; pin < kPins; ++pin) {
    std::uint64_t& entry = state_.entry[pin];
    if ((entry & kLevel) == 0 || static_cast<std::uint8_t>(entry) != vector) continue;
    entry &= ~kRemoteIrr;
    service_level(pin);
  }
}

std::uint32_t IoApic::read_register(std::uint32_t number) const {
  if (number == 0 || number == 2) return state_.id << 24;
  if (number == 1) return kVersion;
  if (number < kEntries || number >= kEntries + 2 * kPins) return 0xffffffff;
  return static_cast<std::uint32_t>(state_.entry[(number - kEntries) / 2] >> (number & 1 ? 32 : 0));
}

void IoApic::write_register(std::uint32_t number, std::uint32_t value) {
  if (number == 0) state_.id = value >> 24 & 0xf;
  if (number < kEntries || number >= kEntries + 2 * kPins) return;
  const unsigned pin = (number - kEntries) / 2;
  std::uint64_t& entry = state_.entry[pin];
  const unsigned shift = number & 1 ? 32 : 0;
  std::uint64_t wanted = entry & ~(std::uint64_t{0xffffffff} << shift);
  wanted |= std::uint64_t{value} << shift;
  entry = (wanted & kWritable) | (entry & kReadOnly);
  if ((entry & kLevel) == 0) {
    entry &= ~kRemoteIrr;  // no meaning for an edge; Linux clears a stuck one this way
  } else {
    service_level(pin);
  }
}

std::uint64_t IoApic::peek_mmio(const MmioAccess& access) const {
  switch (access.offset) {
    case kSelect:
      return state_.select;
    case kWindow:
      return read_register(state_.select);
    default:
      return 0;
  }
}

void IoApic::write_mmio(const MmioAccess& access, std::uint64_t value) {
  const auto low = static_cast<std::uint32_t>(value);
  switch (access.offset) {
    case kSelect:
      state_.select = low & 0xff;
      break;
    case kWindow:
      write_register(state_.select, low);
      break;
    case kEoi:
      end_of_interrupt(static_cast<std::uint8_t>(low));
      break;
    default:
      break;
  }
}

}  // namespace ringside::machine
