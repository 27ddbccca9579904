#include "machine/virtio/virtio_mmio.h"

#include <optional>

namespace ringside::machine {
namespace {

enum Offset : std::uint64_t {
  kMagic = 0x000,
  kVersion = 0x004,
  kDeviceId = 0x008,
  kVendorId = 0x00c,
  kQueueSizeMax = 0x034,
  kQueueNotify = 0x050,
  kInterruptStatus = 0x060,
  kInterruptAcknowledge = 0x064,
  kStatus = 0x070,
  kConfiguration = 0x100,
};

struct Place {
  std::uint64_t offset;
  VirtioRegister which;
};
// A driver reads the first group and writes the second.
constexpr Place kReadable[] = {{0x010, VirtioRegister::DeviceFeatures},
                               {0x044, VirtioRegister::QueueReady},
                               {kStatus, VirtioRegister::Status}};
constexpr Place kWritable[] = {{0x014, VirtioRegister::DeviceFeaturesSelect},
                               {0x020, VirtioRegister::DriverFeatures},
                               {0x024, VirtioRegister::DriverFeaturesSelect},
                               {0x030, VirtioRegister::QueueSelect},
                               {0x038, VirtioRegister::QueueSize},
                               {0x044, VirtioRegister::QueueReady},
                               {kStatus, VirtioRegister::Status},
                               {0x080, VirtioRegister::DescriptorsLow},
                               {0x084, VirtioRegister::DescriptorsHigh},
                               {0x090, VirtioRegister::AvailableLow},
                               {0x094, VirtioRegister::AvailableHigh},
                               {0x0a0, VirtioRegister::UsedLow},
                               {0x0a4, VirtioRegister::UsedHigh}};

template <std::size_t N>
std::optional<VirtioRegister> find(const Place (&places)[N], std::uint64_t offset) {
  for (const Place& place : places) {
    if (place.offset == offset) return place.which;
  }
  return std::nullopt;
}

}  // namespace

void VirtioMmio::reset() {
  facilities_.reset();
  set_interrupts(0);
}

void VirtioMmio::visit_state(StateVisitor& visitor) {
  visitor.field(interrupt_status_);
  facilities_.visit_state(visitor);
}

void VirtioMmio::set_interrupts(std::uint32_t reasons) {
  interrupt_status_ = reasons;
  interrupt_.set(reasons != 0);
}

void VirtioMmio::queue_used(unsigned) { set_interrupts(interrupt_status_ | kVirtioUsed); }

void VirtioMmio::configuration_changed() {
  set_interrupts(interrupt_status_ | kVirtioConfigurationChanged);
}

std::uint64_t VirtioMmio::peek_mmio(const MmioAccess& access) const {
  if (access.offset >= kConfiguration)
    return facilities_.read_configuration(access.offset - kConfiguration, access.width);
  return access.width == 4 ? read_register(access.offset) : 0;
}

std::uint32_t VirtioMmio::read_register(std::uint64_t offset) const {
  switch (offset) {
    case kMagic:
      return 0x74726976;
    case kVersion:
      return 2;
    case kDeviceId:
      return facilities_.device().id();
    case kVendorId:
      return 0x53474e52;  // "RNGS"
    case kQueueSizeMax:
      return facilities_.has_selected_queue() ? VirtioQueue::kMaxSize : 0;
    case kInterruptStatus:
      return interrupt_status_;
    default:
      break;
  }
  const std::optional<VirtioRegister> which = find(kReadable, offset);
  return which ? facilities_.read(*which) : 0;
}

void VirtioMmio::write_mmio(const MmioAccess& access, std::uint64_t value) {
  // The configuration of the devices here is read-only.
  if (access.width != 4 || access.offset >= kConfiguration) return;
  write_register(access.offset, static_cast<std::uint32_t>(value));
}

void VirtioMmio::write_register(std::uint64_t offset, std::uint32_t value) {
  if (offset == kStatus && value == 0) return reset();
  if (offset == kQueueNotify) return facilities_.notify(value);
  if (offset == kInterruptAcknowledge) return set_interrupts(interrupt_status_ & ~value);
  const std::optional<VirtioRegister> which = find(kWritable, offset);
  if (which) facilities_.write(*which, value);
}

}  // namespace ringside::machine
