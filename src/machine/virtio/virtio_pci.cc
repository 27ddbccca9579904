#include "machine/virtio/virtio_pci.h"

namespace ringside::machine {
namespace {

constexpr std::uint16_t kVirtioVendor = 0x1af4, kFirstDevice = 0x1040, kSubsystem = 0x1100;
constexpr std::uint8_t kModern = 1;  // the revision

// What the two base address registers map, and where the structures are in the first one.
constexpr unsigned kRegisters = 0, kVectors = 1;
constexpr std::uint32_t kCommon = 0x0000, kInterruptStatus = 0x1000, kDeviceSpecific = 0x2000,
                        kNotify = 0x3000, kRegistersSize = 0x4000, kPart = 0x1000;
// Each queue has a place of its own to be notified at.
constexpr std::uint32_t kNotifyStride = 4;

// Capabilities: what all have (4.1.4), and their kinds.
constexpr std::uint8_t kVendorSpecific = 0x09;
constexpr unsigned kLength = 2, kKind = 3, kBar = 4, kOffset = 8, kSize = 12, kCapabilitySize = 16,
                   kStride = 16, kData = 16, kLongCapabilitySize = 20;
enum Kind : std::uint8_t { kCommonKind = 1, kNotifyKind, kStatusKind, kDeviceKind, kAccessKind };

// The common structure (4.1.4.3).
constexpr std::uint64_t kConfigurationVector = 0x10, kQueues = 0x12, kStatus = 0x14,
                        kQueueVector = 0x1a, kQueueEnable = 0x1c, kQueueNotify = 0x1e;
struct RegisterPlace {
  std::uint64_t offset;
  unsigned width;
  VirtioRegister which;
};
constexpr RegisterPlace kPlaces[] = {{0x00, 4, VirtioRegister::DeviceFeaturesSelect},
                                     {0x04, 4, VirtioRegister::DeviceFeatures},
                                     {0x08, 4, VirtioRegister::DriverFeaturesSelect},
                                     {0x0c, 4, VirtioRegister::DriverFeatures},
                                     {kStatus, 1, VirtioRegister::Status},
                                     {0x16, 2, VirtioRegister::QueueSelect},
                                     {0x18, 2, VirtioRegister::QueueSize},
                                     {kQueueEnable, 2, VirtioRegister::QueueReady},
                                     {0x20, 4, VirtioRegister::DescriptorsLow},
                                     {0x24, 4, VirtioRegister::DescriptorsHigh},
                                     {0x28, 4, VirtioRegister::AvailableLow},
                                     {0x2c, 4, VirtioRegister::AvailableHigh},
                                     {0x30, 4, VirtioRegister::UsedLow},
                                     {0x34, 4, VirtioRegister::UsedHigh}};

std::uint32_t class_of(std::uint32_t virtio_id) {
  switch (virtio_id) {
    case 2:
      return 0x010000;  // mass storage
    default:
      return 0xff0000;  // of no class
  }
}

PciIdentity identity_of(const VirtioDevice& device) {
  return {kVirtioVendor,         static_cast<std::uint16_t>(kFirstDevice + device.id()),
          class_of(device.id()), kModern,
          kVirtioVendor,         kSubsystem};
}

}  // namespace

VirtioPci::VirtioPci(VirtioDevice& device, DmaMemory memory, InterruptLine line,
                     MessageSink& messages, hypervisor::CpuPort& cpus)
    : PciFunction(identity_of(device), line),
      cpus_(cpus),
      facilities_(device, *this, memory, cpus),
      msix_(messages, device.queues() + 1) {
  add_bar(kRegisters, kRegistersSize);
  add_bar(kVectors, Msix::kSize);
  add_capabilities();
  reset_device();
}

void VirtioPci::add_structure(std::uint8_t kind, std::uint32_t offset, std::uint32_t size) {
  const bool is_long = kind == kNotifyKind || kind == kAccessKind;
  const unsigned length = is_long ? kLongCapabilitySize : kCapabilitySize;
  const unsigned place = add_capability(kVendorSpecific, length);
  configuration().set(place + kLength, 1, length);
  configuration().set(place + kKind, 1, kind);
  configuration().set(place + kBar, 1, kRegisters);
  configuration().set(place + kOffset, 4, offset);
  configuration().set(place + kSize, 4, size);
  if (kind == kNotifyKind) configuration().set(place + kStride, 4, kNotifyStride);
  if (kind != kAccessKind) return;
  access_capability_ = place;
  configuration().let_write(place + kBar, 1, 0xff);
  configuration().let_write(place + kOffset, 4, ~0u);
  configuration().let_write(place + kSize, 4, ~0u);
}

void VirtioPci::add_capabilities() {
  msix_capability_ = add_capability(Msix::kCapability, Msix::kCapabilitySize);
  configuration().set(msix_capability_ + Msix::kControl, 2, msix_.vectors() - 1);
  configuration().let_write(msix_capability_ + Msix::kControl, 2, Msix::kEnable | Msix::kMaskAll);
  configuration().set(msix_capability_ + Msix::kTable, 4, Msix::kTableOffset | kVectors);
  configuration().set(msix_capability_ + Msix::kPending, 4, Msix::kPendingOffset | kVectors);
  add_structure(kCommonKind, kCommon, 0x38);
  add_structure(kStatusKind, kInterruptStatus, 1);
  const auto own = static_cast<std::uint32_t>(facilities_.device().configuration().size());
  if (own != 0) add_structure(kDeviceKind, kDeviceSpecific, own);
  add_structure(kNotifyKind, kNotify, kNotifyStride * facilities_.queues());
  add_structure(kAccessKind, 0, 0);
}

// By the driver, which keeps the PCI configuration as it is.
void VirtioPci::reset_device() {
  facilities_.reset();
  state_ = State{};
  state_.queue_vectors.fill(kNoVector);
  update();
}

void VirtioPci::reset() {
  PciFunction::reset();
  msix_.reset();
  reset_device();
}

void VirtioPci::visit_state(StateVisitor& visitor) {
  PciFunction::visit_state(visitor);
  msix_.visit_state(visitor);
  visitor.field(state_);
  facilities_.visit_state(visitor);
}

std::optional<VirtioPci::Window> VirtioPci::window(unsigned offset, unsigned width) const {
  if (offset != access_capability_ + kData) return std::nullopt;
  const PciConfiguration& all = configuration();
  const Window window{all.read(access_capability_ + kBar, 1),
                      {{}, all.read(access_capability_ + kOffset, 4), width}};
  const std::uint32_t size = all.read(access_capability_ + kSize, 4);
  // The driver is to give it an aligned place within a structure, and as many bytes (4.1.4.9).
  const std::uint64_t end = window.access.offset + width;
  if (size != width || window.access.offset % width != 0 || window.bar >= kBars ||
      end > bar_size(window.bar))
    return std::nullopt;
  return window;
}

std::uint32_t VirtioPci::read_configuration(unsigned offset, unsigned width) {
  const std::optional<Window> through = window(offset, width);
  if (!through) return PciFunction::peek_configuration(offset, width);
  return static_cast<std::uint32_t>(read_bar(through->bar, through->access));
}

std::uint32_t VirtioPci::peek_configuration(unsigned offset, unsigned width) const {
  const std::optional<Window> through = window(offset, width);
  if (!through) return PciFunction::peek_configuration(offset, width);
  return static_cast<std::uint32_t>(peek_bar(through->bar, through->access));
}

void VirtioPci::write_configuration(unsigned offset, unsigned width, std::uint32_t value) {
  if (const std::optional<Window> through = window(offset, width)) {
    write_bar(through->bar, through->access, value);
    return;
  }
  const bool was_master = is_master();
  const bool was_open = gate() == Msix::Gate::Open;
  PciFunction::write_configuration(offset, width, value);
  update();
  if (!was_open && gate() == Msix::Gate::Open) msix_.open();
  if (was_master || !is_master()) return;
  // What was published before the device could reach memory.
  for (unsigned queue = 0; queue < facilities_.queues(); ++queue)
    facilities_.notify(queue);
  if (has_work()) cpus_.deadline_moved();
}

std::uint32_t VirtioPci::msix_control() const {
  return configuration().read(msix_capability_ + Msix::kControl, 2);
}

Msix::Gate VirtioPci::gate() const {
  const bool is_open = sends_messages() && (msix_control() & Msix::kMaskAll) == 0 && is_master();
  return is_open ? Msix::Gate::Open : Msix::Gate::Shut;
}

std::uint64_t VirtioPci::read_bar(unsigned bar, const MmioAccess& access) {
  const std::uint64_t value = peek_bar(bar, access);
  if (bar == kRegisters && access.offset == kInterruptStatus) {
    state_.interrupt_status = 0;
    update();
  }
  return value;
}

std::uint64_t VirtioPci::peek_bar(unsigned bar, const MmioAccess& access) const {
  if (bar == kVectors) return msix_.peek(access);
  const std::uint64_t within = access.offset % kPart;
  switch (access.offset - within) {
    case kCommon:
      return read_common(within, access.width);
    case kInterruptStatus:
      return within == 0 ? state_.interrupt_status : 0;
    case kDeviceSpecific:
      return facilities_.read_configuration(within, access.width);
    default:
      return 0;
  }
}

void VirtioPci::write_bar(unsigned bar, const MmioAccess& access, std::uint64_t value) {
  if (bar == kVectors) {
    msix_.write(access, value, gate());
    return;
  }
  const std::uint64_t within = access.offset % kPart;
  switch (access.offset - within) {
    case kCommon:
      if (access.width == 8) {
        write_common(within, 4, static_cast<std::uint32_t>(value));
        write_common(within + 4, 4, static_cast<std::uint32_t>(value >> 32));
      } else {
        write_common(within, access.width, static_cast<std::uint32_t>(value));
      }
      break;
    case kNotify:
      if (within % kNotifyStride == 0) notify(static_cast<std::uint32_t>(within / kNotifyStride));
      break;
    default:
      break;  // the configuration of the devices here is read-only
  }
}

std::uint64_t VirtioPci::read_common(std::uint64_t offset, unsigned width) const {
  if (width == 8) return read_common(offset, 4) | read_common(offset + 4, 4) << 32;
  const bool has_queue = facilities_.has_selected_queue();
  if (width == 2) {
    switch (offset) {
      case kConfigurationVector:
        return state_.configuration_vector;
      case kQueues:
        return facilities_.queues();
      case kQueueVector:
        return has_queue ? state_.queue_vectors[facilities_.selected_queue()] : kNoVector;
      case kQueueNotify:
        return has_queue ? facilities_.selected_queue() : 0;
      default:
        break;
    }
  }
  for (const RegisterPlace& place : kPlaces) {
    if (place.offset == offset && place.width == width) return facilities_.read(place.which);
  }
  return 0;
}

// That which is no vector of the table reads back as none, which tells the driver so.
std::uint16_t VirtioPci::vector_of(std::uint32_t value) const {
  return value < msix_.vectors() ? static_cast<std::uint16_t>(value) : kNoVector;
}

void VirtioPci::write_common(std::uint64_t offset, unsigned width, std::uint32_t value) {
  if (offset == kStatus && width == 1 && value == 0) {
    reset_device();
    return;
  }
  if (offset == kConfigurationVector && width == 2) state_.configuration_vector = vector_of(value);
  if (offset == kQueueVector && width == 2 && facilities_.has_selected_queue())
    state_.queue_vectors[facilities_.selected_queue()] = vector_of(value);
  // A driver never switches a queue off by itself (4.1.4.3.2).
  if (offset == kQueueEnable && (value & 1) == 0) return;
  for (const RegisterPlace& place : kPlaces) {
    if (place.offset == offset && place.width == width) facilities_.write(place.which, value);
  }
}

// A device that may not reach memory looks later.
void VirtioPci::notify(std::uint32_t queue) {
  if (is_master()) facilities_.notify(queue);
}

void VirtioPci::queue_used(unsigned queue) { interrupt(kVirtioUsed, state_.queue_vectors[queue]); }

void VirtioPci::configuration_changed() {
  interrupt(kVirtioConfigurationChanged, state_.configuration_vector);
}

void VirtioPci::interrupt(std::uint32_t reason, std::uint16_t vector) {
  if (sends_messages()) {
    msix_.trigger(vector, gate());
    return;
  }
  state_.interrupt_status = static_cast<std::uint16_t>(state_.interrupt_status | reason);
  update();
}

void VirtioPci::update() { set_interrupt(state_.interrupt_status != 0 && !sends_messages()); }

}  // namespace ringside::machine
