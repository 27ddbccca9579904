// The QEMU that ringside is compared with. Plain functions.
#pragma once

#include <string>
#include <vector>

namespace ringside::testing {

// Why it is not to be had; empty if it is.
std::string no_qemu();
// What it prints of itself, as for {"-device", "help"}.
std::string qemu_says(const std::vector<std::string>& question);
// Whether its version begins with these numbers.
bool qemu_is(const std::string& version);
// Debian's QEMU, with a machine and options as everywhere here; `more` says what it runs.
std::vector<std::string> qemu_command(unsigned cpus, const std::string& memory,
                                      const std::vector<std::string>& more);

}  // namespace ringside::testing
