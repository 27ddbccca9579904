// The QEMU that ringside is compared with. Plain functions.
#pragma once

#include <string>
#include <vector>

namespace ringside::testing {

// Whether a program can be run; it is asked for its version.
bool is_installed(const std::string& program);
bool have_qemu();
// Debian's QEMU, with a machine and options as everywhere here; `more` says what it runs.
std::vector<std::string> qemu_command(unsigned cpus, const std::string& memory,
                                      const std::vector<std::string>& more);

}  // namespace ringside::testing
