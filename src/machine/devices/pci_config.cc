#include "machine/devices/pci_config.h"

#include <array>

namespace ringside::machine {
namespace {

constexpr std::uint32_t kEnable = 1u << 31, kWritable = 0x80fffffc;

// The generic host bridge of virtual machines (1b36:0008), class 06 00, header type 0, no
// resources.
constexpr std::array<std::uint32_t, 4> kHostBridge = {0x00081b36, 0x00000000, 0x06000000, 0};

std::uint32_t configuration(std::uint32_t address) {
  const std::uint32_t function = address & 0x00ffff00, offset = address & 0xfc;
  if ((address & kEnable) == 0 || function != 0) return 0xffffffff;
  return offset / 4 < kHostBridge.size() ? kHostBridge[offset / 4] : 0;
}

}  // namespace

std::uint32_t PciConfig::peek_port(const PortAccess& access) const {
  const auto mask = static_cast<std::uint32_t>(all_ones(access.width));
  // The address register answers only whole; a narrow access there means other hardware.
  if (access.port == kAddress) return access.width == 4 ? address_ : mask;
  const unsigned shift = 8 * (access.port & 3);
  return (configuration(address_) >> shift) & mask;
}

Access PciConfig::write_port(const PortAccess& access, std::uint32_t value) {
  if (access.port == kAddress && access.width == 4) address_ = value & kWritable;
  return Access::Done;
}

}  // namespace ringside::machine
