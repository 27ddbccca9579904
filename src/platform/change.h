// What somebody at the debugger's side of an engine (hypervisor::Vcpu, hypervisor::Memory) has
// changed about the guest, as a closed type. Breakpoints, watchpoints and traps are not among it:
// the guest does not see them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"
#include "ringside/x86/exception.h"
#include "ringside/x86/registers.h"

namespace ringside::hypervisor::change {

struct RegisterWrite {
  VcpuId vcpu;
  x86::Register which = x86::Register::Rax;
  x86::RegisterValue value;
};

// All registers at once. Not the same as writing each: a RIP that stays the same moves nobody.
struct StateWrite {
  VcpuId vcpu;
  x86::CpuState state;
};

struct MsrWrite {
  VcpuId vcpu;
  std::uint32_t number = 0;
  std::uint64_t value = 0;
};

// RAM or ROM, within one page.
struct MemoryWrite {
  Gpa address;
  std::vector<std::byte> bytes;
};

struct DeviceWrite {
  VcpuId vcpu;
  Gpa address;
  unsigned width = 4;
  std::uint32_t value = 0;
};

struct InjectedException {
  VcpuId vcpu;
  x86::Exception exception;
};

// Of the instruction that an injected exception belongs to.
struct InsnLength {
  VcpuId vcpu;
  std::uint8_t length = 1;
};

}  // namespace ringside::hypervisor::change

namespace ringside::hypervisor {

using Change =
    std::variant<change::RegisterWrite, change::StateWrite, change::MsrWrite, change::MemoryWrite,
                 change::DeviceWrite, change::InjectedException, change::InsnLength>;

}  // namespace ringside::hypervisor
