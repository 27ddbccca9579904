#include "engine/kvm/host/local_apic_page.h"

#include <cstring>

#include "engine/kvm/host/api.h"

namespace ringside::kvm {

using namespace x86::apic;

Result<LocalApicPage> LocalApicPage::get(const Fd& vcpu) {
  LocalApicPage page;
  TRY(control(vcpu, KVM_GET_LAPIC, &page.state_, "to read a local APIC"));
  return page;
}

Result<void> LocalApicPage::set(const Fd& vcpu) const {
  kvm_lapic_state copy = state_;
  TRY(control(vcpu, KVM_SET_LAPIC, &copy, "to write a local APIC"));
  return {};
}

std::uint32_t LocalApicPage::reg(unsigned number) const {
  std::uint32_t value;
  std::memcpy(&value, state_.regs + 16 * number, sizeof value);
  return value;
}

void LocalApicPage::put(unsigned number, std::uint32_t value) {
  std::memcpy(state_.regs + 16 * number, &value, sizeof value);
}

void LocalApicPage::set_bit(unsigned first, std::uint8_t vector, bool value) {
  const unsigned number = first + vector / 32;
  const std::uint32_t mask = 1u << vector % 32;
  put(number, value ? reg(number) | mask : reg(number) & ~mask);
}

bool LocalApicPage::take_back(std::uint8_t vector) {
  if (!bit(kInService, vector)) return false;
  set_bit(kInService, vector, false);
  set_bit(kRequest, vector, true);
  return true;
}

// Without the message to the I/O APIC.
void LocalApicPage::end_of_interrupt() {
  for (unsigned vector = 256; vector-- > 0;) {
    if (!bit(kInService, static_cast<std::uint8_t>(vector))) continue;
    set_bit(kInService, static_cast<std::uint8_t>(vector), false);
    return;
  }
}

std::optional<ApicCommand> LocalApicPage::write(unsigned number, std::uint32_t value) {
  switch (number) {
    case kEndOfInterrupt:
      end_of_interrupt();
      break;
    case kTaskPriority:
      put(number, value & 0xff);
      break;
    case kErrorStatus:
      put(number, 0);
      break;
    case kCommandLow: {
      put(number, value & ~kDeliveryPending);
      ApicCommand message;
      message.shorthand = shorthand_of(value);
      message.destination = reg(kCommandHigh) >> 24;
      message.logical = destination_mode_of(value) == DestinationMode::Logical;
      message.vector = vector_of(value);
      message.mode = delivery_mode_of(value);
      if (is_init_deassert(value)) return std::nullopt;
      return message;
    }
    case kLogicalDestination:
    case kDestinationFormat:
    case kSpurious:
    case kCommandHigh:
    case kInitialCount:
    case kDivide:
      put(number, value);
      if (number == kInitialCount) put(kCurrentCount, value);
      break;
    default:
      if (number - kLocalVectors < kLvtCount) put(number, value);
      break;
  }
  return std::nullopt;
}

hypervisor::LocalApicImage LocalApicPage::image(VcpuId vcpu, std::uint64_t base) const {
  hypervisor::LocalApicImage image;
  image.vcpu = vcpu;
  image.base = base;
  image.command = reg(kCommandLow) | std::uint64_t{reg(kCommandHigh)} << 32;
  for (unsigned i = 0; i < 8; ++i) {
    image.in_service[i] = reg(kInService + i);
    image.request[i] = reg(kRequest + i);
  }
  for (unsigned i = 0; i < kLvtCount; ++i)
    image.lvt[i] = reg(kLocalVectors + i);
  image.logical_id = reg(kLogicalDestination);
  image.destination_format = reg(kDestinationFormat);
  image.spurious = reg(kSpurious);
  image.error_status = reg(kErrorStatus);
  image.divide = reg(kDivide);
  image.initial_count = reg(kInitialCount);
  image.current_count = reg(kCurrentCount);
  image.task_priority = static_cast<std::uint8_t>(reg(kTaskPriority));
  image.processor_priority = static_cast<std::uint8_t>(reg(kProcessorPriority));
  return image;
}

}  // namespace ringside::kvm
