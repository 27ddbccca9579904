#include "machine/boot/acpi_placement.h"

#include <algorithm>

namespace ringside::machine {

Result<Gpa> write_acpi_tables(hypervisor::GuestRam& ram, const AcpiOptions& options) {
  std::uint8_t* const host = ram.host(kAcpiStart, kAcpiSize);
  if (host == nullptr) {
    return fail(ErrorCode::BadAddress, "there is no memory at 0xe0000 for the ACPI tables");
  }
  // 64 processors and 8 devices take under 4 KiB, so that the 64 KiB cannot overflow.
  if (options.vcpus > kMaxVcpus || options.virtio_devices > kMaxVirtioDevices) {
    return fail(ErrorCode::BadRequest, "too many processors or devices for the ACPI tables");
  }
  static_assert(kFacs == kAcpiStart + kAcpiAlignment, "the FACS is the first table");
  AcpiTables made = make_acpi_tables(options);
  const Gpa tables = kAcpiStart + kAcpiAlignment;  // behind the RSDP, which is shorter
  place(made.root, tables);
  place(made.tables, tables);
  std::copy(made.root.bytes.begin(), made.root.bytes.end(), host);
  std::copy(made.tables.bytes.begin(), made.tables.bytes.end(), host + kAcpiAlignment);
  return kAcpiStart;
}

}  // namespace ringside::machine
