// What firmware is told to do with the ACPI tables that it finds among the files of its
// configuration interface: QEMU's table loader (docs/specs of QEMU; SeaBIOS and OVMF follow it).
// The files have names of our choosing in it.
#pragma once

#include <string>
#include <string_view>

#include "machine/acpi/acpi_tables.h"

namespace ringside::machine {

inline constexpr std::string_view kAcpiRootFile = "etc/acpi/rsdp",
                                  kAcpiTablesFile = "etc/acpi/tables";

// Allocates room for both files, the root where systems without UEFI look for it, makes addresses
// of their pointers, and sums.
std::string acpi_loader_script(const AcpiTables& tables);

}  // namespace ringside::machine
