// A guest of the measures of what comes to it from outside: Debian's Linux with a device, and the
// same commands for ringside and for QEMU. From one mark on the console to the next, in wall time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "linux_files.h"
#include "measure.h"

namespace ringside::bench {

// Of a machine with PCI.
inline constexpr const char* kBus =
    "virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci";

struct OutsideGuest {
  LinuxFiles files;
  std::string drivers;                // in the order in which they are loaded
  std::vector<std::string> ringside;  // its device
  bool qemu_has_it;
  std::vector<std::string> qemu;
};

// Whether it is named in what QEMU says; otherwise there is no ratio, for the reason that is given.
bool qemu_has(const std::string& name, const std::vector<std::string>& question,
              const std::string& measure, const std::string& what);

// Seconds for each of `work`, shell commands in one guest after the other, once what they need has
// been prepared; nothing where the subject cannot.
std::vector<std::optional<double>> times_of(Subject subject, const OutsideGuest& guest,
                                            const std::string& name, const std::string& preparation,
                                            const std::vector<std::string>& work);

}  // namespace ringside::bench
