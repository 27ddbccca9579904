// The ACPI tables (ACPI specification 5.0): RSDP, RSDT, XSDT, FADT, FACS, MADT, MCFG and DSDT,
// written to 0xe0000..0xeffff, where every system looks for them and which loaders keep out of
// usable memory. Called once by a boot loader, before the engine exists; firmware brings its own
// tables.
#pragma once

#include "base/result.h"
#include "machine/bus/platform_map.h"
#include "platform/guest_ram.h"
#include "ringside/types.h"

namespace ringside::machine {

struct AcpiOptions {
  unsigned vcpus = 1;
  unsigned virtio_devices = 0;  // the first so many of platform_map.h
  VirtioBus virtio_bus = VirtioBus::Mmio;
};

inline constexpr Gpa kAcpiStart{0xe0000};
inline constexpr std::uint64_t kAcpiSize = 0x10000;

// Where the RSDP is (kAcpiStart).
Result<Gpa> write_acpi_tables(hypervisor::GuestRam& ram, const AcpiOptions& options);

}  // namespace ringside::machine
