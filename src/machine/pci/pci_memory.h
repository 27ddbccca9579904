// Memory addresses that are PCI's: configuration space where the host bridge has it, and functions
// where the guest has put them. Which is which is found at each access. Owned by Machine.
#pragma once

#include <optional>
#include <vector>

#include "machine/bus/platform_map.h"
#include "machine/pci/host_bridge.h"
#include "machine/pci/pci_bus.h"

namespace ringside::machine {

class PciMemory final : public MmioDevice {
 public:
  // Offsets of accesses count from where `range` begins.
  PciMemory(const PciBus& bus, const HostBridge& bridge, const AddressRange& range)
      : bridge_(bridge), range_(range), configuration_(bus), functions_(bus, range.base) {}
  const AddressRange& range() const { return range_; }
  // What is left of it, in ascending order.
  std::vector<AddressRange> range_without(std::vector<AddressRange> taken) const;

  bool answers(std::uint64_t offset) const override;
  std::uint64_t read_mmio(const MmioAccess& access) override;
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  // The same access, if it is one to configuration space.
  std::optional<MmioAccess> to_configuration(const MmioAccess& access) const;

  const HostBridge& bridge_;
  AddressRange range_;
  PciEcam configuration_;
  PciWindow functions_;
};

}  // namespace ringside::machine
