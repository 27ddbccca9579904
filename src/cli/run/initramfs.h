// What Linux unpacks into its first root: this host's busybox with a script around it, or a
// directory of the host's. The same files give the same bytes, so that a recorded run can be
// repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/stage.h"
#include "cli/run/kernel_modules.h"

namespace ringside::cli {

// What the guest's /init is told (init_script.h).
struct GuestSetup {
  std::string console;  // "ttyS0"; empty: the kernel's own
  std::vector<std::string> shares;
  bool has_network = false;
};

// The static busybox of this host; an error that says how to get one.
Result<std::string> find_busybox(const std::string& root = {});

Result<std::vector<std::byte>> busybox_initramfs(const std::string& busybox,
                                                 const std::vector<KernelModule>& modules,
                                                 const GuestSetup& setup);

// All of a directory, in the order of names; links stay links. At most `most` bytes.
Result<std::vector<std::byte>> directory_initramfs(const std::string& directory, std::uint64_t most,
                                                   const Meanwhile& meanwhile);

}  // namespace ringside::cli
