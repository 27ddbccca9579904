#include "machine/interrupts/apic_bus.h"

namespace ringside::machine {

ApicBus::ApicBus(unsigned vcpus, EventQueue& events, hypervisor::CpuPort& cpus) {
  for (std::uint32_t i = 0; i < vcpus; ++i) {
    apics_.push_back(std::make_unique<LocalApic>(VcpuId{i}, *this, events, cpus));
  }
}

void ApicBus::reset() {
  for (auto& apic : apics_)
    apic->reset();
}

void ApicBus::visit_state(StateVisitor& visitor) {
  for (auto& apic : apics_)
    apic->visit_state(visitor);
}

void ApicBus::set_external(bool asserted) {
  for (auto& apic : apics_)
    apic->set_lint0(asserted);
}

void ApicBus::send(const ApicMessage& message, const LocalApic& sender, bool exclude_sender) {
  deliver(message, exclude_sender ? &sender : nullptr);
}

void ApicBus::broadcast_eoi(std::uint8_t vector) {
  if (eoi_listener_ != nullptr) eoi_listener_->end_of_interrupt(vector);
}

std::uint8_t ApicBus::acknowledge_external() {
  return external_ == nullptr ? 0xff : external_->acknowledge();
}

std::uint8_t ApicBus::peek_external() const {
  return external_ == nullptr ? 0xff : external_->peek_vector();
}

// The processor with the lowest priority, and among equals the first: hardware may choose any, and
// a fixed choice is the deterministic one (SDM 3A 10.6.2.4).
LocalApic* ApicBus::lowest_priority(const ApicMessage& message, const LocalApic* excluded) {
  LocalApic* best = nullptr;
  for (auto& apic : apics_) {
    if (apic.get() == excluded || !apic->accepts_fixed()) continue;
    if (!apic->matches(message.destination, message.destination_mode)) continue;
    if (best == nullptr || apic->processor_priority() < best->processor_priority()) {
      best = apic.get();
    }
  }
  return best;
}

bool ApicBus::deliver(const ApicMessage& message, const LocalApic* excluded) {
  if (message.delivery_mode == DeliveryMode::LowestPriority) {
    LocalApic* apic = lowest_priority(message, excluded);
    return apic != nullptr && apic->accept(message);
  }
  bool taken = false;
  for (auto& apic : apics_) {
    if (apic.get() == excluded) continue;
    if (!apic->matches(message.destination, message.destination_mode)) continue;
    taken |= apic->accept(message);
  }
  return taken;
}

}  // namespace ringside::machine
