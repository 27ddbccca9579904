#include "machine/pci/host_bridge.h"

namespace ringside::machine {
namespace {

constexpr PciIdentity kQ35{0x8086, 0x29c0, 0x060000, 0, 0x1af4, 0x1100};
// PCIEXBAR (Intel 3 Series Express Chipset data sheet, 5.1.17): bit 0 switches it on, bits 2 and 1
// say for how many buses: 256, 128 or 64 of them. Its upper half is fixed: below 4 GiB it always
// is.
constexpr unsigned kPciExpressBase = 0x60;
constexpr std::uint32_t kOn = 1, kLength = 6, kAddress = 0xfc000000;
constexpr std::uint64_t kLargest = 256u << 20;

}  // namespace

HostBridge::HostBridge() : PciFunction(kQ35, std::nullopt) {
  configuration().let_write(kPciExpressBase, 4, kAddress | kLength | kOn);
}

// The address bits that a length does not use are zero, whatever was written; the fourth length is
// reserved.
std::optional<AddressRange> HostBridge::configuration_in_memory() const {
  const std::uint32_t value = configuration().read(kPciExpressBase, 4);
  const unsigned length = (value & kLength) >> 1;
  if ((value & kOn) == 0 || length == 3) return std::nullopt;
  const std::uint64_t size = kLargest >> length;
  return AddressRange{{value & kAddress & ~(size - 1)}, size};
}

void HostBridge::place_configuration(Gpa base) {
  configuration().set(kPciExpressBase, 4, static_cast<std::uint32_t>(base.value) | kOn);
}

}  // namespace ringside::machine
