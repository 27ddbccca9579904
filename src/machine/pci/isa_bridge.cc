#include "machine/pci/isa_bridge.h"

#include "machine/bus/platform_map.h"

namespace ringside::machine {
namespace {

constexpr PciIdentity kIch9{0x8086, 0x2918, 0x060100, 2, 0x1af4, 0x1100};
// ICH9 data sheet, 13.1: the base of ACPI's ports with bit 0 saying that it is one of I/O ports,
// the switch for them, routes of PCI's interrupts to 8259s (two groups of four), and the base of
// the chipset's own registers.
constexpr unsigned kAcpiBase = 0x40, kAcpiControl = 0x44, kRoutes = 0x60, kMoreRoutes = 0x68,
                   kChipsetBase = 0xf0;
constexpr std::uint32_t kIsPorts = 1, kAcpiOn = 0x80, kAcpiControlBits = 0x87;
// ISA's ports, memory and masters are always let through (13.1.3).
constexpr std::uint32_t kAlwaysOn = 7, kErrors = 0x140;
constexpr std::uint32_t kRouteBits = 0x8f8f8f8f, kNotRouted = 0x80808080, kChipsetBits = 0xffffc001;

}  // namespace

IsaBridge::IsaBridge() : PciFunction(kIch9, std::nullopt) {
  configuration().let_write(pci::kCommand, 2, kErrors);
  configuration().set(pci::kCommand, 2, kAlwaysOn);
  configuration().set(kAcpiBase, 4, kPm1Event | kIsPorts);
  configuration().let_write(kAcpiControl, 1, kAcpiControlBits & ~kAcpiOn);
  configuration().set(kAcpiControl, 1, kAcpiOn);
  configuration().let_write(kRoutes, 4, kRouteBits);
  configuration().let_write(kMoreRoutes, 4, kRouteBits);
  configuration().let_write(kChipsetBase, 4, kChipsetBits);
  set_defaults();
}

void IsaBridge::reset() {
  PciFunction::reset();
  set_defaults();
}

void IsaBridge::set_defaults() {
  configuration().set(kRoutes, 4, kNotRouted);
  configuration().set(kMoreRoutes, 4, kNotRouted);
}

}  // namespace ringside::machine
