// The notes of a core: each vCPU's registers as Linux's cores have them (NT_PRSTATUS and
// NT_X86_XSTATE), and as QEMU's have, which tell its control registers and tables too; and
// VMCOREINFO.
//
// Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::guests {

// vCPU N is the process with this number plus N. GDB wants them to differ; drgn takes a number that
// a process in the guest has for that process, and Linux has none above 4194304.
inline constexpr int kFirstThread = 1'000'000'001;

struct CoreVcpu {
  VcpuId id;
  x86::CpuState state;
};

// `vmcoreinfo`: empty for none. The size is a multiple of four.
std::vector<std::byte> core_notes(std::span<const CoreVcpu> vcpus, std::string_view vmcoreinfo);

}  // namespace ringside::guests
