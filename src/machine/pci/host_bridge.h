// The host bridge, device 0 of bus 0: that of Intel's Q35 (8086:29c0), because firmware for virtual
// machines looks for one that it knows. Only what such firmware reads is there. Owned by Machine.
#pragma once

#include "machine/pci/pci_function.h"

namespace ringside::machine {

class HostBridge final : public PciFunction {
 public:
  HostBridge();
  std::uint64_t read_bar(unsigned, const MmioAccess&) override { return 0; }
  std::uint64_t peek_bar(unsigned, const MmioAccess&) const override { return 0; }
  void write_bar(unsigned, const MmioAccess&, std::uint64_t) override {}
};

}  // namespace ringside::machine
