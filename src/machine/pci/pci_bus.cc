#include "machine/pci/pci_bus.h"

#include <utility>

namespace ringside::machine {
namespace {

constexpr std::uint32_t kEnable = 1u << 31, kWritable = 0x80fffffc;
// Of an address in ECAM: 12 bits of register, 3 of function, 5 of device, 8 of bus.
constexpr std::uint64_t kRegisters = 1u << 12, kFunctions = 8;

unsigned device_of(std::uint64_t offset) {
  return static_cast<unsigned>(offset / (kRegisters * kFunctions));
}

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

// Function 0 of a device on bus 0, or null.
PciFunction* PciPorts::selected() const {
  constexpr std::uint32_t kBus = 0xff0000, kFunction = 0x700;
  if ((address_ & kEnable) == 0 || (address_ & (kBus | kFunction)) != 0) return nullptr;
  return bus_.function(address_ >> 11 & 31);
}

std::uint32_t PciPorts::peek_port(const PortAccess& access) const {
  const auto mask = static_cast<std::uint32_t>(all_ones(access.width));
  // The address register answers only whole; a narrow access there means other hardware.
  if (access.port == kAddress) return access.width == 4 ? address_ : mask;
  const PciFunction* function = selected();
  const unsigned byte = access.port & 3;
  if (function == nullptr || byte + access.width > 4) return mask;
  return function->peek_configuration((address_ & 0xfc) + byte, access.width);
}

Access PciPorts::read_port(const PortAccess& access, std::uint32_t& value) {
  PciFunction* function = access.port == kAddress ? nullptr : selected();
  const unsigned byte = access.port & 3;
  if (function == nullptr || byte + access.width > 4) {
    value = peek_port(access);
  } else {
    value = function->read_configuration((address_ & 0xfc) + byte, access.width);
  }
  return Access::Done;
}

Access PciPorts::write_port(const PortAccess& access, std::uint32_t value) {
  if (access.port == kAddress) {
    if (access.width == 4) address_ = value & kWritable;
    return Access::Done;
  }
  PciFunction* function = selected();
  const unsigned byte = access.port & 3;
  if (function != nullptr && byte + access.width <= 4)
    function->write_configuration((address_ & 0xfc) + byte, access.width, value);
  return Access::Done;
}

namespace {

struct EcamPlace {
  PciFunction* function = nullptr;
  unsigned offset = 0;
};

// Nobody, where an access is not within one register of 4 bytes.
EcamPlace find_register(const PciBus& bus, const MmioAccess& access) {
  const unsigned device = device_of(access.offset);
  const auto offset = static_cast<unsigned>(access.offset % kRegisters);
  const bool is_first = access.offset / kRegisters % kFunctions == 0;
  if (device >= PciBus::kDevices || !is_first || offset % 4 + access.width > 4) return {};
  return {bus.function(device), offset};
}

MmioAccess half_of(const MmioAccess& access, unsigned index) {
  return {access.vcpu, access.offset + 4 * index, 4};
}

}  // namespace

std::uint64_t PciEcam::read_mmio(const MmioAccess& access) {
  if (access.width == 8) return read_mmio(half_of(access, 0)) | read_mmio(half_of(access, 1)) << 32;
  const EcamPlace place = find_register(bus_, access);
  if (place.function == nullptr) return all_ones(access.width);
  if (is_extended(place.offset)) return 0;
  return place.function->read_configuration(place.offset, access.width);
}

std::uint64_t PciEcam::peek_mmio(const MmioAccess& access) const {
  if (access.width == 8) return peek_mmio(half_of(access, 0)) | peek_mmio(half_of(access, 1)) << 32;
  const EcamPlace place = find_register(bus_, access);
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
  const EcamPlace place = find_register(bus_, access);
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
