#include "machine/virtio/virtio_facilities.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace ringside::machine {
namespace {

constexpr std::uint64_t kFeatureIndirect = std::uint64_t{1} << 28;
constexpr std::uint64_t kFeatureVersion1 = std::uint64_t{1} << 32;
constexpr std::uint32_t kStatusDriverOk = 4, kStatusFeaturesOk = 8, kStatusNeedsReset = 0x40;

void set_half(std::uint64_t& number, bool high, std::uint32_t value) {
  const unsigned shift = high ? 32 : 0;
  number = (number & ~(std::uint64_t{0xffffffff} << shift)) | std::uint64_t{value} << shift;
}

std::uint32_t half(std::uint64_t number, bool high) {
  return static_cast<std::uint32_t>(number >> (high ? 32 : 0));
}

}  // namespace

VirtioFacilities::VirtioFacilities(VirtioDevice& device, VirtioInterrupts& interrupts,
                                   DmaMemory memory, hypervisor::CpuPort& cpus)
    : device_(device),
      interrupts_(interrupts),
      cpus_(cpus),
      queues_(device.queues(), VirtioQueue(memory)) {}

void VirtioFacilities::reset() {
  state_ = State{};
  for (VirtioQueue& queue : queues_)
    queue.reset();
  device_.reset();
}

void VirtioFacilities::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  for (VirtioQueue& queue : queues_)
    queue.visit_state(visitor);
  visitor.expect(state_.serves <= 1 && state_.queue < queues_.size() &&
                 state_.waiting >> queues_.size() == 0);
  device_.visit_state(visitor);
  if (state_.serves == 1) device_.visit_request(visitor);
}

std::uint64_t VirtioFacilities::offered_features() const {
  return device_.features() | kFeatureIndirect | kFeatureVersion1;
}

std::uint64_t VirtioFacilities::read_configuration(std::uint64_t offset, unsigned width) const {
  const std::span<const std::byte> configuration = device_.configuration();
  std::uint64_t value = 0;
  if (offset >= configuration.size()) return 0;
  std::memcpy(&value, configuration.data() + offset,
              std::min<std::size_t>(width, configuration.size() - offset));
  return value;
}

std::uint32_t VirtioFacilities::read(VirtioRegister which) const {
  using enum VirtioRegister;
  switch (which) {
    case DeviceFeaturesSelect:
      return state_.device_features_select;
    case DeviceFeatures:
      if (state_.device_features_select > 1) return 0;
      return half(offered_features(), state_.device_features_select == 1);
    case DriverFeaturesSelect:
      return state_.driver_features_select;
    case DriverFeatures:
      if (state_.driver_features_select > 1) return 0;
      return half(state_.driver_features, state_.driver_features_select == 1);
    case Status:
      return state_.status;
    case QueueSelect:
      return state_.queue_select;
    default:
      break;
  }
  if (!has_selected_queue()) return 0;
  const VirtioQueue::State& queue = queues_[state_.queue_select].state;
  switch (which) {
    case QueueSize:
      return queue.size;
    case QueueReady:
      return queue.ready;
    case DescriptorsLow:
    case DescriptorsHigh:
      return half(queue.descriptors, which == DescriptorsHigh);
    case AvailableLow:
    case AvailableHigh:
      return half(queue.available, which == AvailableHigh);
    case UsedLow:
    case UsedHigh:
      return half(queue.used, which == UsedHigh);
    default:
      return 0;
  }
}

void VirtioFacilities::write(VirtioRegister which, std::uint32_t value) {
  using enum VirtioRegister;
  switch (which) {
    case DeviceFeaturesSelect:
      state_.device_features_select = value;
      break;
    case DeviceFeatures:
      break;
    case DriverFeaturesSelect:
      state_.driver_features_select = value;
      break;
    case DriverFeatures:
      if (state_.driver_features_select <= 1 && !(state_.status & kStatusFeaturesOk)) {
        set_half(state_.driver_features, state_.driver_features_select == 1, value);
      }
      break;
    case Status:
      write_status(value);
      break;
    case QueueSelect:
      state_.queue_select = value;
      break;
    default:
      if (has_selected_queue()) write_queue(which, value);
      break;
  }
}

void VirtioFacilities::write_queue(VirtioRegister which, std::uint32_t value) {
  using enum VirtioRegister;
  VirtioQueue::State& queue = queues_[state_.queue_select].state;
  if (which == QueueReady) {
    queue.ready = value & 1;
    if (queue.ready) return;
    queue.next_available = queue.next_used = 0;
    give_up(state_.queue_select);
    return;
  }
  if (queue.ready) return;  // not to be changed while in use
  switch (which) {
    case QueueSize:
      if (std::has_single_bit(value) && value <= VirtioQueue::kMaxSize) {
        queue.size = static_cast<std::uint16_t>(value);
      }
      break;
    case DescriptorsLow:
    case DescriptorsHigh:
      set_half(queue.descriptors, which == DescriptorsHigh, value);
      break;
    case AvailableLow:
    case AvailableHigh:
      set_half(queue.available, which == AvailableHigh, value);
      break;
    case UsedLow:
    case UsedHigh:
      set_half(queue.used, which == UsedHigh, value);
      break;
    default:
      break;
  }
}

// FEATURES_OK stays only when the device agrees (3.1.1). Zero is the transport's to see: it resets.
void VirtioFacilities::write_status(std::uint32_t value) {
  const bool agrees = (state_.driver_features & ~offered_features()) == 0 &&
                      (state_.driver_features & kFeatureVersion1) != 0;
  if ((value & kStatusFeaturesOk) && !agrees) value &= ~kStatusFeaturesOk;
  state_.status = (value & 0xff) | (state_.status & kStatusNeedsReset);
}

void VirtioFacilities::fail_device() {
  give_up_all();
  state_.status |= kStatusNeedsReset;
  interrupts_.configuration_changed();
  if (failed_) failed_();
}

bool VirtioFacilities::is_driven() const {
  return (state_.status & kStatusDriverOk) && !(state_.status & kStatusNeedsReset);
}

bool VirtioFacilities::can_serve(unsigned queue) const {
  return is_driven() && queues_[queue].state.ready;
}

// The queue's request under way and those that wait in it are dropped.
void VirtioFacilities::give_up(unsigned queue) {
  state_.waiting = static_cast<std::uint16_t>(state_.waiting & ~(1u << queue));
  if (state_.queue != queue) return;
  state_.serves = state_.queue = state_.head = 0;
}

void VirtioFacilities::give_up_all() {
  state_.waiting = state_.serves = state_.queue = state_.head = 0;
}

// What is published while there is work in that queue will be seen without this.
void VirtioFacilities::notify(std::uint32_t queue) {
  if (queue >= queues_.size() || !can_serve(queue)) return;
  const bool had_work = has_work();
  state_.waiting = static_cast<std::uint16_t>(state_.waiting | 1u << queue);
  if (had_work) return;
  work();
  if (has_work()) cpus_.deadline_moved();
}

void VirtioFacilities::input_came() {
  for (unsigned queue = 0; queue < queues_.size(); ++queue) {
    if (device_.receives(queue) && can_serve(queue))
      state_.waiting = static_cast<std::uint16_t>(state_.waiting | 1u << queue);
  }
  if (can_work()) cpus_.deadline_moved();
}

// One message from outside. Where there is none, or no buffer for it, the queue waits no longer.
VirtioFacilities::Next VirtioFacilities::deliver(unsigned queue, Allowance& allowance) {
  using Delivery = VirtioDevice::Delivery;
  const Delivery delivery =
      can_serve(queue) ? device_.deliver(queue, queues_[queue], state_.driver_features, allowance)
                       : Delivery::Nothing;
  if (delivery == Delivery::Done) {
    state_.queue = static_cast<std::uint16_t>(queue);
    return Next::Delivered;
  }
  if (delivery == Delivery::Broken) {
    fail_device();
    return Next::Failed;
  }
  give_up(queue);
  return Next::Nothing;
}

// Of the first queue in which something waits: a message from outside, or the next request.
VirtioFacilities::Next VirtioFacilities::begin_next(Allowance& allowance) {
  while (state_.waiting != 0) {
    const auto queue = static_cast<unsigned>(std::countr_zero(state_.waiting));
    if (device_.receives(queue)) {
      const Next next = deliver(queue, allowance);
      if (next == Next::Nothing) continue;
      return next;
    }
    VirtioChain chain;
    const VirtioQueue::Next next =
        can_serve(queue) ? queues_[queue].pop(chain) : VirtioQueue::Next::Empty;
    if (next == VirtioQueue::Next::Empty) {
      give_up(queue);
      continue;
    }
    if (next == VirtioQueue::Next::Broken || !device_.begin(queue, chain)) {
      fail_device();
      return Next::Failed;
    }
    allowance.spend_chain(chain.readable.size() + chain.writable.size());
    state_.serves = 1;
    state_.queue = static_cast<std::uint16_t>(queue);
    state_.head = chain.head;
    return Next::Request;
  }
  return Next::Nothing;
}

hypervisor::WorkPart VirtioFacilities::work() {
  using Progress = VirtioDevice::Progress;
  if (!is_driven()) give_up_all();
  Allowance allowance;
  unsigned used = 0;  // queues, one bit each
  while (can_work() && allowance.left() != 0) {
    if (state_.serves == 0) {
      const Next next = begin_next(allowance);
      if (next == Next::Delivered) used |= 1u << state_.queue;
      if (next == Next::Nothing || next == Next::Failed) break;
      if (next == Next::Delivered || !can_work()) continue;
    }
    const Progress progress = device_.go_on(allowance);
    if (progress == Progress::Waits) return hypervisor::WorkPart::Waits;
    if (progress == Progress::More) break;
    if (progress == Progress::Broken || !queues_[state_.queue].push(std::array{
                                            VirtioQueue::Used{state_.head, device_.written()}})) {
      fail_device();
      break;
    }
    used |= 1u << state_.queue;
    state_.serves = state_.queue = state_.head = 0;
  }
  if (state_.status & kStatusNeedsReset) return hypervisor::WorkPart::Done;
  for (unsigned queue = 0; queue < queues_.size(); ++queue) {
    if ((used >> queue & 1) != 0 && queues_[queue].wants_interrupt()) interrupts_.queue_used(queue);
  }
  return hypervisor::WorkPart::Done;
}

}  // namespace ringside::machine
