// What any of Debian's kernels must show for a machine that works, and what it costs the host.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace ringside::testing {

// Of /proc/interrupts: each processor has had timer interrupts, and the console its own.
void check_interrupts(const std::string& table, unsigned cpus);

// Of dmesg: nothing that a kernel says of a machine in disorder.
void check_log(const std::string& log);

struct HostMemory {
  std::uint64_t peak = 0;       // of the whole process, in KiB
  std::uint64_t guest_ram = 0;  // resident in the mapping of the guest's RAM: what was touched
};

// Of a ringside whose guest has `ram_kib` of RAM, which is the one mapping of that size.
HostMemory memory_of(pid_t pid, std::uint64_t ram_kib);

// Whether RINGSIDE_FIDELITY=whole asks for what takes an hour, too.
bool is_fidelity_whole();

}  // namespace ringside::testing
