#include "machine/pci/pci_bus.h"

#include <utility>

namespace ringside::machine {
namespace {

constexpr std::uint32_t kEnable = 1u << 31, kWritable = 0x80fffffc;
// Of an address in ECAM: 12 bits of register, 3 of function, 5 of device, 8 of bus.
constexpr std::uint64_t kRegisters = 1u << 12, kFunctions = 8;

// The registers behind the first 256 are those of extended capabilities, of which there are none.
bool is_extended(unsigned offset) { return offset >= PciConfiguration::kSize; }

}  // namespace

void PciBus::add(unsigned device, PciFunction& function, DeviceLabel label) {
  functions_.at(device) = &function;
  labels_.at(device) = std::move(label);
}

void PciBus::place_all(Gpa base) const {
  for (PciFunction* function : functions_) {
    if (function == nullptr) continue;
    for (unsigned bar = 0; bar < PciFunction::kBars; ++bar) {
      const std::uint64_t size = function->bar_size(bar);
      if (size == 0) continue;
      base.value = (base.value + size - 1) & ~(size - 1);
      function->place_bar(bar, base);
      base.value += size;
    }
  }
}

// Nobody, where an access is not within one register of 4 bytes.
PciBus::Register PciBus::find(unsigned device, unsigned offset, unsigned width) const {
  if (device >= kDevices || offset % 4 + width > 4) return {};
  return {functions_[device], offset};
}

// Of function 0 of a device on bus 0.
PciBus::Register PciPorts::selected(const PortAccess& access) const {
  constexpr std::uint32_t kBus = 0xff0000, kFunction = 0x700;
  if ((address_ & kEnable) == 0 || (address_ & (kBus | kFunction)) != 0) return {};
  return bus_.find(address_ >> 11 & 31, (address_ & 0xfc) + (access.port & 3), access.width);
}

std::uint32_t PciPorts::peek_port(const PortAccess& access) const {
  const auto nothing = static_cast<std::uint32_t>(all_ones(access.width));
  // The address register answers only whole; a narrow access there means other hardware.
  if (access.port == kAddress) return access.width == 4 ? address_ : nothing;
  const PciBus::Register found = selected(access);
  if (found.function == nullptr) return nothing;
  return found.function->peek_configuration(found.offset, access.width);
}

Access PciPorts::read_port(const PortAccess& access, std::uint32_t& value) {
  const PciBus::Register found = access.port == kAddress ? PciBus::Register{} : selected(access);
  value = found.function == nullptr
              ? peek_port(access)
              : found.function->read_configuration(found.offset, access.width);
  return Access::Done;
}

Access PciPorts::write_port(const PortAccess& access, std::uint32_t value) {
  if (access.port == kAddress) {
    if (access.width == 4) address_ = value & kWritable;
    return Access::Done;
  }
  const PciBus::Register found = selected(access);
  if (found.function != nullptr)
    found.function->write_configuration(found.offset, access.width, value);
  return Access::Done;
}

namespace {

PciBus::Register find_register(const PciBus& bus, const MmioAccess& access) {
  if (access.offset / kRegisters % kFunctions != 0) return {};
  return bus.find(static_cast<unsigned>(access.offset / (kRegisters * kFunctions)),
                  static_cast<unsigned>(access.offset % kRegisters), access.width);
}

MmioAccess half_of(const MmioAccess& access, unsigned index) {
  return {access.vcpu, access.offset + 4 * index, 4};
}

}  // namespace

std::uint64_t PciEcam::read_mmio(const MmioAccess& access) {
  if (access.width == 8) return read_mmio(half_of(access, 0)) | read_mmio(half_of(access, 1)) << 32;
  const PciBus::Register place = find_register(bus_, access);
  if (place.function == nullptr) return all_ones(access.width);
  if (is_extended(place.offset)) return 0;
  return place.function->read_configuration(place.offset, access.width);
}

std::uint64_t PciEcam::peek_mmio(const MmioAccess& access) const {
  if (access.width == 8) return peek_mmio(half_of(access, 0)) | peek_mmio(half_of(access, 1)) << 32;
  const PciBus::Register place = find_register(bus_, access);
  if (place.function == nullptr) return all_ones(access.width);
  if (is_extended(place.offset)) return 0;
  return place.function->peek_configuration(place.offset, access.width);
}

void PciEcam::write_mmio(const MmioAccess& access, std::uint64_t value) {
  if (access.width == 8) {
    write_mmio(half_of(access, 0), value & 0xffffffff);
    write_mmio(half_of(access, 1), value >> 32);
    return;
  }
  const PciBus::Register place = find_register(bus_, access);
  if (place.function == nullptr || is_extended(place.offset)) return;
  place.function->write_configuration(place.offset, access.width,
                                      static_cast<std::uint32_t>(value));
}

PciWindow::Found PciWindow::find(const MmioAccess& access) const {
  for (unsigned device = 0; device < PciBus::kDevices; ++device) {
    PciFunction* const function = bus_.function(device);
    const auto place = function == nullptr ? std::nullopt : function->find(base_ + access.offset);
    if (place) return {function, place->bar, {access.vcpu, place->offset, access.width}};
  }
  return {};
}

bool PciWindow::answers(std::uint64_t offset) const {
  return find({{}, offset, 1}).function != nullptr;
}

std::uint64_t PciWindow::read_mmio(const MmioAccess& access) {
  const Found found = find(access);
  if (found.function == nullptr) return all_ones(access.width);
  return found.function->read_bar(found.bar, found.access);
}

std::uint64_t PciWindow::peek_mmio(const MmioAccess& access) const {
  const Found found = find(access);
  if (found.function == nullptr) return all_ones(access.width);
  return found.function->peek_bar(found.bar, found.access);
}

void PciWindow::write_mmio(const MmioAccess& access, std::uint64_t value) {
  const Found found = find(access);
  if (found.function != nullptr) found.function->write_bar(found.bar, found.access, value);
}

}  // namespace ringside::machine
