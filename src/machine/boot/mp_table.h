// The tables of Intel's MultiProcessor Specification 1.4 (chapter 4): how a kernel without ACPI
// finds processors, the I/O APIC, and which of its pins each interrupt reaches. It tells what the
// MADT and the DSDT tell.
#pragma once

#include <cstddef>
#include <vector>

#include "ringside/types.h"

namespace ringside::machine {

// The floating pointer structure, and the configuration table behind it: to be placed at `at`, a
// multiple of 16 below 4 GiB where kernels look.
std::vector<std::byte> make_mp_table(Gpa at, unsigned vcpus, unsigned pci_devices);

}  // namespace ringside::machine
