#include "machine/interrupts/local_apic.h"

#include <bit>

namespace ringside::machine {
namespace {

using namespace x86::apic;

// The number of the highest set bit, or -1.
int highest(const std::array<std::uint32_t, 8>& bits) {
  for (int word = 7; word >= 0; --word) {
    const std::uint32_t value = bits[static_cast<std::size_t>(word)];
    if (value != 0) return word * 32 + 31 - std::countl_zero(value);
  }
  return -1;
}

void set_bit(std::array<std::uint32_t, 8>& bits, unsigned n) { bits[n / 32] |= 1u << (n % 32); }
void clear_bit(std::array<std::uint32_t, 8>& bits, unsigned n) {
  bits[n / 32] &= ~(1u << (n % 32));
}
bool test_bit(const std::array<std::uint32_t, 8>& bits, unsigned n) {
  return (bits[n / 32] >> (n % 32) & 1) != 0;
}

}  // namespace

LocalApic::LocalApic(VcpuId vcpu, ApicFabric& fabric, EventQueue& events, hypervisor::CpuPort& cpus)
    : vcpu_(vcpu), fabric_(fabric), cpus_(cpus), timer_(events, cpus, *this) {
  reset();
}

// The state after power-up, RESET or INIT (SDM 3A 10.4.7.1), except for IA32_APIC_BASE and the
// inputs, which are not registers of the APIC proper.
void LocalApic::clear_registers() {
  timer_.reset();
  State cleared;
  cleared.base = state_.base;
  cleared.lint0 = state_.lint0;
  cleared.pin = state_.pin;
  cleared.lvt.fill(kMasked);
  state_ = cleared;
}

void LocalApic::reset() {
  clear_registers();
  state_.base = kDefaultBase | kBaseEnable | (boot_processor() ? kBaseBoot : 0);
  // Virtual wire mode, as firmware leaves it (MP specification 3.6.2.2): a guest that knows only
  // the 8259 works without ever touching the APIC.
  if (boot_processor()) {
    state_.lvt[kLvtLint0] = static_cast<std::uint32_t>(DeliveryMode::ExtInt) << kDeliveryModeShift;
  }
  update_pin();
}

void LocalApic::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  timer_.visit_state(visitor);
  if (visitor.loading()) cpus_.set_interrupt_pin(vcpu_, state_.pin != 0);
}

bool LocalApic::set_base(std::uint64_t value) {
  constexpr std::uint64_t kReserved = ~((std::uint64_t{1} << 52) - 1) | 0x2ff;
  const bool enable = (value & kBaseEnable) != 0, extended = (value & kBaseX2apic) != 0;
  if ((value & kReserved) != 0 || (extended && !enable)) return false;
  // SDM 3A figure 10-27: x2APIC mode is left only by disabling, and entered only from xAPIC mode.
  if (enable && extended && !enabled()) return false;
  if (enable && !extended && x2apic()) return false;
  const bool disabling = enabled() && !enable;
  const bool entering_x2apic = extended && !x2apic();
  state_.base = (value & ~kBaseBoot) | (boot_processor() ? kBaseBoot : 0);
  if (disabling) clear_registers();
  if (entering_x2apic) state_.command = 0;
  update_pin();
  return true;
}

std::uint32_t LocalApic::logical_id() const {
  if (!x2apic()) return state_.logical_destination;
  return (vcpu_.value >> 4) << 16 | 1u << (vcpu_.value & 0xf);  // SDM 3A 10.12.10.2
}

bool LocalApic::matches(std::uint32_t destination, DestinationMode mode) const {
  if (destination == kBroadcast) return true;
  if (mode == DestinationMode::Physical) return destination == vcpu_.value;
  const std::uint32_t id = logical_id();
  if (x2apic()) return destination >> 16 == id >> 16 && (destination & id & 0xffff) != 0;
  const std::uint32_t mda = destination & 0xff, own = id >> 24;
  if (state_.destination_format >> 28 == 0xf) return (mda & own) != 0;  // flat
  return mda == 0xff || ((mda >> 4 == own >> 4 || mda >> 4 == 0xf) && (mda & own & 0xf) != 0);
}

bool LocalApic::accept(const ApicMessage& message) {
  if (!enabled()) return false;
  switch (message.delivery_mode) {
    case DeliveryMode::Fixed:
    case DeliveryMode::LowestPriority:
      if (!software_enabled()) return false;
      if (message.vector < 16) {
        report_error(kReceiveIllegalVector);
        return false;
      }
      request_vector(message.vector, message.trigger_mode);
      return true;
    case DeliveryMode::Nmi:
      cpus_.non_maskable_interrupt(vcpu_);
      return true;
    case DeliveryMode::Init:
      clear_registers();
      update_pin();
      cpus_.init(vcpu_);
      return true;
    case DeliveryMode::StartUp:
      cpus_.start_up(vcpu_, message.vector);
      return true;
    default:
      return false;
  }
}

void LocalApic::request_vector(std::uint8_t vector, TriggerMode trigger) {
  set_bit(state_.request, vector);
  if (trigger == TriggerMode::Level) {
    set_bit(state_.trigger_mode, vector);
  } else {
    clear_bit(state_.trigger_mode, vector);
  }
  update_pin();
}

void LocalApic::report_error(std::uint32_t bit) {
  const bool news = (state_.errors & bit) == 0;
  state_.errors |= bit;
  if (news) deliver_local(kLvtError);
}

// An interrupt of the local vector table (SDM 3A 10.5.1).
void LocalApic::deliver_local(LocalVector entry) {
  const std::uint32_t lvt = state_.lvt[entry];
  if ((lvt & kMasked) != 0 || !enabled()) return;
  // The timer and error entries have no delivery mode; theirs is fixed.
  const bool has_mode = entry != kLvtTimer && entry != kLvtError;
  const DeliveryMode mode = has_mode ? delivery_mode_of(lvt) : DeliveryMode::Fixed;
  if (mode == DeliveryMode::Nmi) {
    cpus_.non_maskable_interrupt(vcpu_);
  } else if (mode == DeliveryMode::Fixed) {
    const std::uint8_t vector = vector_of(lvt);
    if (vector >= 16) {
      request_vector(vector, TriggerMode::Edge);
    } else if (entry != kLvtError) {
      report_error(kReceiveIllegalVector);
    }
  }
}

void LocalApic::run_event(unsigned, VirtualTime due) {
  timer_.expire(due);
  deliver_local(kLvtTimer);
}

void LocalApic::set_lint0(bool asserted) {
  const bool rising = asserted && state_.lint0 == 0;
  state_.lint0 = asserted;
  if (rising) deliver_local(kLvtLint0);  // ExtINT is a level and stays in update_pin
  update_pin();
}

// SDM 3A 10.8.3.1: the higher of the task priority and the class of the interrupt in service.
std::uint8_t LocalApic::processor_priority() const {
  const int service = highest(state_.in_service);
  const unsigned service_class = service < 0 ? 0 : static_cast<unsigned>(service) & 0xf0;
  if (state_.task_priority >> 4 >= service_class >> 4) return state_.task_priority;
  return static_cast<std::uint8_t>(service_class);
}

void LocalApic::set_task_priority(std::uint8_t priority) {
  state_.task_priority = priority;
  update_pin();
}

bool LocalApic::fixed_ready() const {
  if (!accepts_fixed()) return false;
  const int request = highest(state_.request);
  return request >= 0 && request >> 4 > processor_priority() >> 4;
}

// With the APIC disabled in IA32_APIC_BASE, LINT0 is the processor's INTR pin (SDM 3A 10.4.3).
bool LocalApic::external_ready() const {
  if (state_.lint0 == 0) return false;
  if (!enabled()) return boot_processor();
  const std::uint32_t lvt = state_.lvt[kLvtLint0];
  return (lvt & kMasked) == 0 && delivery_mode_of(lvt) == DeliveryMode::ExtInt;
}

void LocalApic::update_pin() {
  const bool level = external_ready() || fixed_ready();
  if (level == (state_.pin != 0)) return;
  state_.pin = level;
  cpus_.set_interrupt_pin(vcpu_, level);
}

std::optional<std::uint8_t> LocalApic::acknowledge() {
  if (external_ready()) {
    const std::uint8_t vector = fabric_.acknowledge_external();
    update_pin();
    return vector;
  }
  if (!fixed_ready()) return std::nullopt;
  const auto vector = static_cast<std::uint8_t>(highest(state_.request));
  clear_bit(state_.request, vector);
  set_bit(state_.in_service, vector);
  update_pin();
  return vector;
}

std::optional<std::uint8_t> LocalApic::peek_interrupt() const {
  if (external_ready()) return fabric_.peek_external();
  if (!fixed_ready()) return std::nullopt;
  return static_cast<std::uint8_t>(highest(state_.request));
}

void LocalApic::end_of_interrupt() {
  const int vector = highest(state_.in_service);
  if (vector < 0) return;
  const auto ended = static_cast<std::uint8_t>(vector);
  clear_bit(state_.in_service, ended);
  if (test_bit(state_.trigger_mode, ended)) fabric_.broadcast_eoi(ended);
  // A level on LINT0 in fixed mode interrupts again until it goes away.
  const std::uint32_t lint0 = state_.lvt[kLvtLint0];
  if (state_.lint0 != 0 && (lint0 & kLevelTriggered) != 0 && vector_of(lint0) == ended) {
    deliver_local(kLvtLint0);
  }
  update_pin();
}

void LocalApic::write_command(std::uint64_t value) {
  state_.command = value & ~std::uint64_t{kDeliveryPending};
  ApicMessage message;
  message.delivery_mode = delivery_mode_of(value);
  message.destination_mode = destination_mode_of(value);
  message.vector = vector_of(value);
  const Shorthand shorthand = shorthand_of(value);
  if (is_init_deassert(value)) return;
  const bool has_vector = message.delivery_mode == DeliveryMode::Fixed ||
                          message.delivery_mode == DeliveryMode::LowestPriority;
  if (has_vector && message.vector < 16) {
    report_error(kSendIllegalVector);
    return;
  }
  if (shorthand == Shorthand::Self) {
    if (has_vector || message.delivery_mode == DeliveryMode::Nmi) accept(message);
    return;
  }
  if (shorthand != Shorthand::None) {
    message.destination = kBroadcast;
    message.destination_mode = DestinationMode::Physical;
  } else if (x2apic()) {
    message.destination = static_cast<std::uint32_t>(value >> 32);
  } else {
    message.destination = static_cast<std::uint32_t>(value >> 56);
    const bool everybody =
        message.destination == 0xff && message.destination_mode == DestinationMode::Physical;
    if (everybody) message.destination = kBroadcast;
  }
  fabric_.send(message, *this, shorthand == Shorthand::Others);
}

}  // namespace ringside::machine
