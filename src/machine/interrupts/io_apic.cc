#include "machine/interrupts/io_apic.h"

namespace ringside::machine {
namespace {

namespace registers = x86::io_apic;
using registers::kEntries;
using x86::apic::kLevelTriggered;
using x86::apic::kMasked;

constexpr std::uint32_t kVersionValue = 0x20 | (IoApic::kPins - 1) << 16;

// Redirection entry. The first has 64 bits for its complement's sake.
constexpr std::uint64_t kRemoteIrr = x86::apic::kRemoteIrr;
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
  if ((entry & kLevelTriggered) != 0) {
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
  message.vector = x86::apic::vector_of(entry);
  message.delivery_mode = x86::apic::delivery_mode_of(entry);
  message.destination_mode = x86::apic::destination_mode_of(entry);
  message.trigger_mode = x86::apic::trigger_mode_of(entry);
  message.destination = static_cast<std::uint32_t>(entry >> 56);
  if (message.destination == 0xff && message.destination_mode == DestinationMode::Physical) {
    message.destination = kBroadcast;
  }
  if (apics_.deliver(message) && message.trigger_mode == TriggerMode::Level) entry |= kRemoteIrr;
}

void IoApic::end_of_interrupt(std::uint8_t vector) {
  for (unsigned pin = 0; pin < kPins; ++pin) {
    std::uint64_t& entry = state_.entry[pin];
    if ((entry & kLevelTriggered) == 0 || x86::apic::vector_of(entry) != vector) continue;
    entry &= ~kRemoteIrr;
    service_level(pin);
  }
}

std::uint32_t IoApic::read_register(std::uint32_t number) const {
  if (number == registers::kId || number == registers::kArbitration) return state_.id << 24;
  if (number == registers::kVersion) return kVersionValue;
  if (number < kEntries || number >= kEntries + 2 * kPins) return 0xffffffff;
  return static_cast<std::uint32_t>(state_.entry[(number - kEntries) / 2] >> (number & 1 ? 32 : 0));
}

void IoApic::write_register(std::uint32_t number, std::uint32_t value) {
  if (number == registers::kId) state_.id = value >> 24 & 0xf;
  if (number < kEntries || number >= kEntries + 2 * kPins) return;
  const unsigned pin = (number - kEntries) / 2;
  std::uint64_t& entry = state_.entry[pin];
  const unsigned shift = number & 1 ? 32 : 0;
  std::uint64_t wanted = entry & ~(std::uint64_t{0xffffffff} << shift);
  wanted |= std::uint64_t{value} << shift;
  entry = (wanted & kWritable) | (entry & registers::kReadOnlyBits);
  if ((entry & kLevelTriggered) == 0) {
    entry &= ~kRemoteIrr;  // no meaning for an edge; Linux clears a stuck one this way
  } else {
    service_level(pin);
  }
}

std::uint64_t IoApic::peek_mmio(const MmioAccess& access) const {
  switch (access.offset) {
    case registers::kSelect:
      return state_.select;
    case registers::kWindow:
      return read_register(state_.select);
    default:
      return 0;
  }
}

void IoApic::write_mmio(const MmioAccess& access, std::uint64_t value) {
  const auto low = static_cast<std::uint32_t>(value);
  switch (access.offset) {
    case registers::kSelect:
      state_.select = low & 0xff;
      break;
    case registers::kWindow:
      write_register(state_.select, low);
      break;
    case registers::kEoi:
      end_of_interrupt(static_cast<std::uint8_t>(low));
      break;
    default:
      break;
  }
}

}  // namespace ringside::machine
