// ACPI tables for a kernel that we load: at 0xe0000..0xeffff, where every system looks for them and
// which loaders keep out of usable memory. Called once by a boot loader, before the engine exists.
#pragma once

#include "base/result.h"
#include "machine/acpi/acpi_tables.h"
#include "platform/guest_ram.h"

namespace ringside::machine {

inline constexpr std::uint64_t kAcpiSize = 0x10000;

// Where the RSDP is (kAcpiStart).
Result<Gpa> write_acpi_tables(hypervisor::GuestRam& ram, const AcpiOptions& options);

}  // namespace ringside::machine
