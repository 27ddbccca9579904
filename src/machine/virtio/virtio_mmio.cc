#include "machine/virtio/virtio_mmio.h"

#include <algorithm>
#include <cstring>

namespace ringside::machine {
namespace {

enum Register : std::uint64_t {
  kMagic = 0x000,
  kVersion = 0x004,
  kDeviceId = 0x008,
  kVendorId = 0x00c,
  kDeviceFeatures = 0x010,
  kDeviceFeaturesSelect = 0x014,
  kDriverFeatures = 0x020,
  kDriverFeaturesSelect = 0x024,
  kQueueSelect = 0x030,
  kQueueSizeMax = 0x034,
  kQueueSize = 0x038,
  kQueueReady = 0x044,
  kQueueNotify = 0x050,
  kInterruptStatus = 0x060,
  kInterruptAcknowledge = 0x064,
  kStatus = 0x070,
  kDescriptorsLow = 0x080,
  kDescriptorsHigh = 0x084,
  kAvailableLow = 0x090,
  kAvailableHigh = 0x094,
  kUsedLow = 0x0a0,
  kUsedHigh = 0x0a4,
  kConfigurationGeneration = 0x0fc,
  kConfiguration = 0x100,
};

constexpr std::uint64_t kFeatureIndirect = std::uint64_t{1} << 28;
constexpr std::uint64_t kFeatureVersion1 = std::uint64_t{1} << 32;
constexpr std::uint32_t kStatusDriverOk = 4, kStatusFeaturesOk = 8, kStatusNeedsReset = 0x40;
constexpr std::uint32_t kInterruptUsed = 1, kInterruptConfiguration = 2;

void set_half(std::uint64_t& address, bool high, std::uint32_t value) {
  const unsigned shift = high ? 32 : 0;
  address = (address & ~(std::uint64_t{0xffffffff} << shift)) | std::uint64_t{value} << shift;
}

}  // namespace

void VirtioMmio::reset() {
  state_ = State{};
  queue_.reset();
  update();
}

void VirtioMmio::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  queue_.visit_state(visitor);
  visitor.expect(state_.work <= kInRequest);
  if (state_.work == kInRequest) device_.visit_request(visitor);
}

std::uint64_t VirtioMmio::offered_features() const {
  return device_.features() | kFeatureIndirect | kFeatureVersion1;
}

std::uint64_t VirtioMmio::read_configuration(std::uint64_t offset, unsigned width) const {
  const std::span<const std::byte> configuration = device_.configuration();
  std::uint64_t value = 0;
  if (offset >= configuration.size()) return 0;
  std::memcpy(&value, configuration.data() + offset,
              std::min<std::size_t>(width, configuration.size() - offset));
  return value;
}

std::uint64_t VirtioMmio::peek_mmio(const MmioAccess& access) const {
  if (access.offset >= kConfiguration) {
    return read_configuration(access.offset - kConfiguration, access.width);
  }
  return access.width == 4 ? read_register(access.offset) : 0;
}

std::uint32_t VirtioMmio::read_register(std::uint64_t offset) const {
  const bool queue_exists = state_.queue_select == 0;
  switch (offset) {
    case kMagic:
      return 0x74726976;
    case kVersion:
      return 2;
    case kDeviceId:
      return device_.id();
    case kVendorId:
      return 0x53474e52;  // "RNGS"
    case kDeviceFeatures:
      if (state_.device_features_select > 1) return 0;
      return static_cast<std::uint32_t>(offered_features() >> (32 * state_.device_features_select));
    case kQueueSizeMax:
      return queue_exists ? VirtioQueue::kMaxSize : 0;
    case kQueueReady:
      return queue_exists ? queue_.state.ready : 0;
    case kInterruptStatus:
      return state_.interrupt_status;
    case kStatus:
      return state_.status;
    default:
      return 0;
  }
}

void VirtioMmio::write_mmio(const MmioAccess& access, std::uint64_t value) {
  // The configuration of the devices here is read-only.
  if (access.width != 4 || access.offset >= kConfiguration) return;
  write_register(access.offset, static_cast<std::uint32_t>(value));
}

void VirtioMmio::write_register(std::uint64_t offset, std::uint32_t value) {
  switch (offset) {
    case kDeviceFeaturesSelect:
      state_.device_features_select = value;
      break;
    case kDriverFeaturesSelect:
      state_.driver_features_select = value;
      break;
    case kDriverFeatures:
      if (state_.driver_features_select <= 1 && !(state_.status & kStatusFeaturesOk)) {
        set_half(state_.driver_features, state_.driver_features_select == 1, value);
      }
      break;
    case kQueueSelect:
      state_.queue_select = value;
      break;
    case kQueueNotify:
      if (value == 0) notify();
      break;
    case kInterruptAcknowledge:
      state_.interrupt_status &= ~value;
      update();
      break;
    case kStatus:
      write_status(value);
      break;
    default:
      if (state_.queue_select == 0) write_queue_register(offset, value);
      break;
  }
}

void VirtioMmio::write_queue_register(std::uint64_t offset, std::uint32_t value) {
  VirtioQueue::State& queue = queue_.state;
  if (offset == kQueueReady) {
    queue.ready = value & 1;
    if (queue.ready) return;
    queue.next_available = queue.next_used = 0;
    give_up();
    return;
  }
  if (queue.ready) return;  // not to be changed while in use
  switch (offset) {
    case kQueueSize: {
      const bool power_of_two = value != 0 && (value & (value - 1)) == 0;
      if (power_of_two && value <= VirtioQueue::kMaxSize) {
        queue.size = static_cast<std::uint16_t>(value);
      }
      break;
    }
    case kDescriptorsLow:
    case kDescriptorsHigh:
      set_half(queue.descriptors, offset == kDescriptorsHigh, value);
      break;
    case kAvailableLow:
    case kAvailableHigh:
      set_half(queue.available, offset == kAvailableHigh, value);
      break;
    case kUsedLow:
    case kUsedHigh:
      set_half(queue.used, offset == kUsedHigh, value);
      break;
    default:
      break;
  }
}

// Writing zero resets. FEATURES_OK stays only when the device agrees (3.1.1).
void VirtioMmio::write_status(std::uint32_t value) {
  if (value == 0) {
    reset();
    return;
  }
  const bool agrees = (state_.driver_features & ~offered_features()) == 0 &&
                      (state_.driver_features & kFeatureVersion1) != 0;
  if ((value & kStatusFeaturesOk) && !agrees) value &= ~kStatusFeaturesOk;
  state_.status = (value & 0xff) | (state_.status & kStatusNeedsReset);
}

void VirtioMmio::fail_device() {
  give_up();
  state_.status |= kStatusNeedsReset;
  state_.interrupt_status |= kInterruptConfiguration;
  update();
}

bool VirtioMmio::can_serve() const {
  return queue_.state.ready && (state_.status & kStatusDriverOk) &&
         !(state_.status & kStatusNeedsReset);
}

// The request under way and those that wait are dropped.
void VirtioMmio::give_up() {
  state_.work = kIdle;
  state_.head = 0;
}

// What is published while there is work will be seen without this.
void VirtioMmio::notify() {
  if (!can_serve() || has_work()) return;
  state_.work = kBetweenRequests;
  work();
  if (has_work()) cpus_.deadline_moved();
}

// False: there is no next one, and no work any more.
bool VirtioMmio::begin_next(Allowance& allowance) {
  // What a request costs beside its data.
  constexpr std::uint64_t kRequestCost = 4096, kSegmentCost = 64;
  VirtioChain chain;
  const VirtioQueue::Next next = queue_.pop(chain);
  if (next == VirtioQueue::Next::Empty) {
    give_up();
    return false;
  }
  if (next == VirtioQueue::Next::Broken || !device_.begin(chain)) {
    fail_device();
    return false;
  }
  allowance.spend(kRequestCost + kSegmentCost * (chain.readable.size() + chain.writable.size()));
  state_.work = kInRequest;
  state_.head = chain.head;
  return true;
}

hypervisor::WorkPart VirtioMmio::work() {
  using Progress = VirtioDevice::Progress;
  if (!can_serve()) give_up();
  Allowance allowance;
  bool used = false;
  while (has_work() && allowance.left() != 0) {
    if (state_.work == kBetweenRequests && !begin_next(allowance)) break;
    const Progress progress = device_.go_on(allowance);
    if (progress == Progress::Waits) return hypervisor::WorkPart::Waits;
    if (progress == Progress::More) break;
    if (progress == Progress::Broken || !queue_.push(state_.head, device_.written())) {
      fail_device();
      break;
    }
    state_.work = kBetweenRequests;
    state_.head = 0;
    used = true;
  }
  const bool failed = (state_.status & kStatusNeedsReset) != 0;
  if (used && !failed && queue_.wants_interrupt()) state_.interrupt_status |= kInterruptUsed;
  update();
  return hypervisor::WorkPart::Done;
}

}  // namespace ringside::machine
