// What a kernel was configured to have (its .config), and what of a guest's needs it lacks, in
// words: what is missing is a silent hang otherwise. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ringside::cli {

// What the guest is to have.
struct GuestNeeds {
  bool initramfs = false;
  bool serial = false;   // its console is COM1
  bool console = false;  // or the virtio console
  bool folders = false;
  bool network = false;
  bool disks = false;
  bool sockets = false;
  bool on_pci = false;  // where the devices are
};

// A sentence for each that the configuration has not, neither built in nor as a module.
std::vector<std::string> missing_in(std::string_view configuration, const GuestNeeds& needs);

// Whether such a kernel has drivers in files of their own.
bool has_modules(std::string_view configuration);

}  // namespace ringside::cli
