// The bridge to the devices of an ISA bus, device 31 of bus 0: that of Intel's ICH9 (8086:2918),
// in which firmware for a Q35 looks for ACPI's registers. Those are where they are, and what
// firmware says of interrupts is kept and has no effect: each device's pin leads to the I/O APIC
// alone. Owned by Machine.
#pragma once

#include "machine/pci/pci_function.h"

namespace ringside::machine {

class IsaBridge final : public PciFunction {
 public:
  static constexpr unsigned kDevice = 31;

  IsaBridge();
  void reset() override;

 private:
  void set_defaults();
};

}  // namespace ringside::machine
