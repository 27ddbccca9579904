// The register file of the local APIC (SDM 3A tables 10-1 and 10-6).
#include "machine/interrupts/local_apic.h"
#include "x86/apic_registers.h"

namespace ringside::machine {
namespace {

using namespace x86::apic;

constexpr std::uint32_t kVersionValue = 0x00050014;  // integrated APIC, six local vectors
// Writable bits by local vector: timer, thermal, performance, LINT0, LINT1, error.
constexpr std::uint32_t kLvtWritable[] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
// Delivery status and remote IRR: read-only, but no fault when written.
constexpr std::uint32_t kLvtReadOnly = kRemoteIrr | kDeliveryPending;
constexpr std::uint64_t kCommandWritable = 0xffffffff000ccfff;

}  // namespace

std::optional<std::uint64_t> LocalApic::lvt_or_bits(unsigned number) const {
  if (number >= kInService && number < kInService + 8)
    return state_.in_service[number - kInService];
  if (number >= kTriggerMode && number < kTriggerMode + 8) {
    return state_.trigger_mode[number - kTriggerMode];
  }
  if (number >= kRequest && number < kRequest + 8) return state_.request[number - kRequest];
  if (number >= kLocalVectors && number < kLocalVectors + kLvtCount) {
    return state_.lvt[number - kLocalVectors];
  }
  return std::nullopt;
}

bool LocalApic::read_register(unsigned number, std::uint64_t& value) const {
  if (const auto found = lvt_or_bits(number)) {
    value = *found;
    return true;
  }
  switch (number) {
    case kId:
      value = x2apic() ? vcpu_.value : std::uint64_t{vcpu_.value} << 24;
      return true;
    case kVersion:
      value = kVersionValue;
      return true;
    case kTaskPriority:
      value = state_.task_priority;
      return true;
    case kArbitrationPriority:
    case kRemoteRead:
      value = 0;
      return !x2apic();
    case kProcessorPriority:
      value = processor_priority();
      return true;
    case kEndOfInterrupt:  // write-only
      value = 0;
      return !x2apic();
    case kLogicalDestination:
      value = logical_id();
      return true;
    case kDestinationFormat:
      value = state_.destination_format;
      return !x2apic();
    case kSpurious:
      value = state_.spurious;
      return true;
    case kErrorStatus:
      value = state_.error_status;
      return true;
    case kCommandLow:
      value = x2apic() ? state_.command : state_.command & 0xffffffff;
      return true;
    case kCommandHigh:
      value = state_.command >> 32;
      return !x2apic();
    case kInitialCount:
      value = timer_.initial_count();
      return true;
    case kCurrentCount:
      value = timer_.current_count();
      return true;
    case kDivide:
      value = timer_.divide();
      return true;
    default:
      value = 0;
      return false;
  }
}

bool LocalApic::write_register(unsigned number, std::uint64_t value) {
  // In x2APIC mode reserved bits fault (SDM 3A 10.12.1.2); in xAPIC mode they are ignored.
  const auto refuses = [&](std::uint64_t writable) { return x2apic() && (value & ~writable) != 0; };
  const auto low = static_cast<std::uint32_t>(value);
  if (number >= kLocalVectors && number < kLocalVectors + kLvtCount) {
    const unsigned entry = number - kLocalVectors;
    if (refuses(kLvtWritable[entry] | kLvtReadOnly)) return false;
    return write_lvt(static_cast<LocalVector>(entry), low);
  }
  switch (number) {
    case kTaskPriority:
      if (refuses(0xff)) return false;
      set_task_priority(static_cast<std::uint8_t>(low));
      return true;
    case kEndOfInterrupt:
      if (refuses(0)) return false;
      end_of_interrupt();
      return true;
    case kLogicalDestination:
      if (x2apic()) return false;
      state_.logical_destination = low & 0xff000000;
      return true;
    case kDestinationFormat:
      if (x2apic()) return false;
      state_.destination_format = low | 0x0fffffff;
      return true;
    case kSpurious:
      if (refuses(0x3ff)) return false;
      write_spurious(low & 0x3ff);
      return true;
    case kErrorStatus:
      if (refuses(0)) return false;
      state_.error_status = state_.errors;
      state_.errors = 0;
      return true;
    case kCommandLow:
      if (refuses(kCommandWritable)) return false;
      if (!x2apic()) value = (state_.command & ~std::uint64_t{0xffffffff}) | low;
      write_command(value & kCommandWritable);
      return true;
    case kCommandHigh:
      if (x2apic()) return false;
      state_.command = (state_.command & 0xffffffff) | std::uint64_t{low & 0xff000000} << 32;
      return true;
    case kInitialCount:
      if (refuses(0xffffffff)) return false;
      timer_.set_initial_count(low);
      return true;
    case kDivide:
      if (refuses(0xb)) return false;
      timer_.set_divide(low);
      return true;
    case kSelfIpi: {
      if (!x2apic() || refuses(0xff)) return false;
      ApicMessage message;
      message.vector = static_cast<std::uint8_t>(low);
      accept(message);
      return true;
    }
    default:
      // The rest is read-only; an MSR write faults, the write of an MMIO register that is there is
      // ignored.
      std::uint64_t ignored = 0;
      return !x2apic() && read_register(number, ignored);
  }
}

std::uint32_t LocalApic::read_mmio(unsigned number) {
  std::uint64_t value = 0;
  if (!read_register(number, value)) report_error(kIllegalRegister);
  return static_cast<std::uint32_t>(value);
}

std::uint32_t LocalApic::peek_mmio(unsigned number) const {
  std::uint64_t value = 0;
  (void)read_register(number, value);
  return static_cast<std::uint32_t>(value);
}

void LocalApic::write_mmio(unsigned number, std::uint32_t value) {
  if (!write_register(number, value)) report_error(kIllegalRegister);
}

// Disabling by software masks every local vector (SDM 3A 10.4.7.2).
void LocalApic::write_spurious(std::uint32_t value) {
  state_.spurious = value;
  if (!software_enabled()) {
    for (std::uint32_t& lvt : state_.lvt)
      lvt |= kMasked;
  }
  update_pin();
}

bool LocalApic::write_lvt(LocalVector entry, std::uint32_t value) {
  value &= kLvtWritable[entry];
  if (!software_enabled()) value |= kMasked;
  if (entry == kLvtTimer) {
    const unsigned mode = timer_mode_bits(value);
    if (mode == 3) return !x2apic();  // reserved
    timer_.set_mode(static_cast<TimerMode>(mode));
  }
  const bool was_masked = (state_.lvt[entry] & kMasked) != 0;
  state_.lvt[entry] = value;
  // A level that was there all along interrupts when LINT0 is unmasked.
  const bool level = (value & kLevelTriggered) != 0;
  if (entry == kLvtLint0 && was_masked && level && state_.lint0 != 0) deliver_local(entry);
  update_pin();
  return true;
}

}  // namespace ringside::machine
