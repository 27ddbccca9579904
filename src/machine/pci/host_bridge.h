// The host bridge, device 0 of bus 0: that of Intel's Q35 (8086:29c0), because firmware for virtual
// machines looks for one that it knows. Only what such firmware uses is there. Owned by Machine.
#pragma once

#include <optional>

#include "machine/bus/platform_map.h"
#include "machine/pci/pci_function.h"

namespace ringside::machine {

class HostBridge final : public PciFunction {
 public:
  HostBridge();

  // Where configuration space is in memory, if the guest has switched that on.
  std::optional<AddressRange> configuration_in_memory() const;
  // What firmware does: all buses from `base` on, which is a multiple of 256 MiB.
  void place_configuration(Gpa base);
};

}  // namespace ringside::machine
