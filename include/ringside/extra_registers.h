// Registers that an engine has beside those of ringside/x86/registers.h: a device's, a counter's,
// what only this VMM knows of a vCPU. A debugger shows and writes them by name as it does the
// others, once it has read the description (`info registers all`, `print $name`).
//
// Called on the thread that serves the debugger, while the vCPU is out of the guest; list() at any
// time.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "ringside/result.h"
#include "ringside/types.h"
#include "ringside/x86/registers.h"

namespace ringside::hypervisor {

struct ExtraRegister {
  std::string name;    // letters, digits and underscores, and no other register's
  unsigned bits = 64;  // 8, 16, 32, 64 or 128
  std::string type =
      "int64";  // GDB's, of that width: int8 to int128, data_ptr, code_ptr, ieee_double
};

class ExtraRegisters {
 public:
  virtual ~ExtraRegisters() = default;
  // Always the same. `index` below counts in it.
  virtual std::span<const ExtraRegister> list() const = 0;
  // Little-endian in the first bytes of the value.
  virtual Result<x86::RegisterValue> read_extra_register(VcpuId vcpu, std::size_t index) = 0;
  // NotSupported for one that cannot be written.
  virtual Result<void> write_extra_register(VcpuId vcpu, std::size_t index,
                                            const x86::RegisterValue& value) = 0;
};

}  // namespace ringside::hypervisor
