// Tables of a guest's Linux for a debugger's `info os`, as documents of GDB's osdata.dtd.
//
// While every vCPU is out of the guest.
#pragma once

#include <string>
#include <string_view>

#include "guests/linux/linux_kernel.h"

namespace ringside::guests {

// The table of this kind: cpus, modules, processes; the list of kinds for an empty name.
Result<std::string> os_data(LinuxKernels& kernels, std::string_view kind);

}  // namespace ringside::guests
