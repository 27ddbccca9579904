#include "machine/pci/host_bridge.h"

#include "machine/bus/platform_map.h"

namespace ringside::machine {
namespace {

constexpr PciIdentity kQ35{0x8086, 0x29c0, 0x060000, 0, 0x1af4, 0x1100};
// Where configuration space is in memory (Intel 3 Series Express Chipset data sheet, 5.1.17): bit 0
// switches it on, bits 2 and 1 say for how many buses. It is fixed here.
constexpr unsigned kPciExpressBase = 0x60;
constexpr std::uint32_t kOnFor256Buses = 1;

}  // namespace

HostBridge::HostBridge() : PciFunction(kQ35, std::nullopt) {
  configuration().set(kPciExpressBase, 4,
                      static_cast<std::uint32_t>(kPciEcamBase.value) | kOnFor256Buses);
}

}  // namespace ringside::machine
