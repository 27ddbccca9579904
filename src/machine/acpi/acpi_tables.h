// The ACPI tables (ACPI specification 5.0): RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG and DSDT, as
// yet without an address. Who places them, a boot loader or firmware, then does what is noted here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/bus/platform_map.h"
#include "ringside/types.h"

namespace ringside::machine {

struct AcpiOptions {
  unsigned vcpus = 1;
  unsigned virtio_devices = 0;  // the first so many of platform_map.h
  VirtioBus virtio_bus = VirtioBus::Mmio;
  bool text_card = false;  // a VGA card, and a keyboard somebody types at
  // PCI: configuration space in memory, and where functions may have addresses.
  std::optional<AddressRange> pci_configuration = AddressRange{kPciEcamBase, kPciEcamSize};
  std::vector<AddressRange> pci_windows = {{kPciWindowBase, kPciWindowSize}};
};

// One of the two pieces that the tables come in.
struct AcpiPiece {
  std::string bytes;
  // A little-endian field that has an offset into `tables` and is to have the address of that.
  struct Pointer {
    std::uint32_t at = 0, size = 4;
    friend bool operator==(const Pointer&, const Pointer&) = default;
  };
  // A zero byte that is to make the sum of a range, in which it lies, zero. After the pointers, and
  // in their order.
  struct Checksum {
    std::uint32_t at = 0, first = 0, size = 0;
  };
  std::vector<Pointer> pointers;
  std::vector<Checksum> checksums;
};

struct AcpiTables {
  AcpiPiece root;    // the RSDP alone
  AcpiPiece tables;  // the rest, to be aligned to kAcpiAlignment
};
inline constexpr unsigned kAcpiAlignment = 64;  // the FACS needs it (5.2.10)

// At most kMaxVcpus and kMaxVirtioDevices.
AcpiTables make_acpi_tables(const AcpiOptions& options);

// What a loader does with a piece: `tables` is where the tables are.
void place(AcpiPiece& piece, Gpa tables);

}  // namespace ringside::machine
