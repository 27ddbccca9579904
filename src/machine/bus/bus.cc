#include "machine/bus/bus.h"

#include <utility>

namespace ringside::machine {

PortBus::PortBus() : owners_(1) { at_.fill(0); }

void PortBus::claim(std::uint16_t first, unsigned count, BytePorts& device, DeviceLabel label) {
  claim(first, count, Owner{&device, nullptr}, std::move(label));
}

void PortBus::claim(std::uint16_t first, unsigned count, WidePorts& device, DeviceLabel label) {
  claim(first, count, Owner{nullptr, &device}, std::move(label));
}

void PortBus::claim(std::uint16_t first, unsigned count, Owner owner, DeviceLabel label) {
  ranges_.push_back({first, count, std::move(label)});
  for (unsigned i = 0; i < count; ++i)
    at_[first + i] = static_cast<std::uint8_t>(owners_.size());
  owners_.push_back(owner);
}

Access PortBus::read(const PortAccess& access, std::uint32_t& value) const {
  const Owner& owner = owners_[at_[access.port]];
  if (owner.wide != nullptr) return owner.wide->read_port(access, value);
  value = static_cast<std::uint32_t>(all_ones(access.width));
  if (owner.bytes == nullptr) return Access::Done;
  for (unsigned i = 0; i < access.width; ++i) {
    const auto port = static_cast<std::uint16_t>(access.port + i);
    BytePorts* device = owners_[at_[port]].bytes;
    if (device == nullptr) continue;
    value &= ~(std::uint32_t{0xff} << (8 * i));
    value |= std::uint32_t{device->read_port(port)} << (8 * i);
  }
  return Access::Done;
}

std::uint32_t PortBus::peek(const PortAccess& access) const {
  const Owner& owner = owners_[at_[access.port]];
  auto value = static_cast<std::uint32_t>(all_ones(access.width));
  if (owner.wide != nullptr) {
    const WidePorts& device = *owner.wide;
    return device.peek_port(access) & value;
  }
  if (owner.bytes == nullptr) return value;
  for (unsigned i = 0; i < access.width; ++i) {
    const auto port = static_cast<std::uint16_t>(access.port + i);
    const BytePorts* device = owners_[at_[port]].bytes;
    if (device == nullptr) continue;
    value &= ~(std::uint32_t{0xff} << (8 * i));
    value |= std::uint32_t{device->peek_port(port)} << (8 * i);
  }
  return value;
}

Access PortBus::write(const PortAccess& access, std::uint32_t value) const {
  const Owner& owner = owners_[at_[access.port]];
  if (owner.wide != nullptr) return owner.wide->write_port(access, value);
  if (owner.bytes == nullptr) return Access::Done;
  for (unsigned i = 0; i < access.width; ++i) {
    const auto port = static_cast<std::uint16_t>(access.port + i);
    BytePorts* device = owners_[at_[port]].bytes;
    if (device != nullptr) device->write_port(port, static_cast<std::uint8_t>(value >> (8 * i)));
  }
  return Access::Done;
}

bool PortBus::takes_write(const PortAccess& access) const {
  if (owners_[at_[access.port]].bytes == nullptr) return true;
  for (unsigned i = 0; i < access.width; ++i) {
    const auto port = static_cast<std::uint16_t>(access.port + i);
    const BytePorts* device = owners_[at_[port]].bytes;
    if (device != nullptr && !device->takes_write(port)) return false;
  }
  return true;
}

void MmioBus::claim(Gpa base, std::uint64_t size, MmioDevice& device, DeviceLabel label) {
  ranges_.push_back({base, size, &device, std::move(label)});
}

const MmioBus::Range* MmioBus::find(Gpa address) const {
  for (const Range& range : ranges_) {
    const std::uint64_t offset = address.value - range.base.value;
    if (offset < range.size && range.device->answers(offset)) return &range;
  }
  return nullptr;
}

}  // namespace ringside::machine
