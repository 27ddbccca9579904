// The registers that a debugger can name, and where each is in a CpuState.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "ringside/x86/cpu_state.h"

namespace ringside::x86 {

// The number of each is its number in the protocol. The first 24 are the `g` packet of a client
// that has not read the description; the order up to Gs is the one that stock GDB assumes for
// i386:x86-64.
enum class Register : std::uint8_t {
  Rax,
  Rbx,
  Rcx,
  Rdx,
  Rsi,
  Rdi,
  Rbp,
  Rsp,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15,
  Rip,
  Eflags,
  Cs,
  Ss,
  Ds,
  Es,
  Fs,
  Gs,
  St0,
  St1,
  St2,
  St3,
  St4,
  St5,
  St6,
  St7,
  Fctrl,
  Fstat,
  Ftag,
  Fiseg,
  Fioff,
  Foseg,
  Fooff,
  Fop,
  Xmm0,
  Xmm1,
  Xmm2,
  Xmm3,
  Xmm4,
  Xmm5,
  Xmm6,
  Xmm7,
  Xmm8,
  Xmm9,
  Xmm10,
  Xmm11,
  Xmm12,
  Xmm13,
  Xmm14,
  Xmm15,
  Mxcsr,
  FsBase,
  GsBase,
  KernelGsBase,
  Cr0,
  Cr2,
  Cr3,
  Cr4,
  Cr8,
  Efer,
  Xcr0,
  Dr0,
  Dr1,
  Dr2,
  Dr3,
  Dr6,
  Dr7,
  GdtrBase,
  GdtrLimit,
  IdtrBase,
  IdtrLimit,
  Ldtr,
  LdtrBase,
  Tr,
  TrBase,
  CsBase,
  SsBase,
  DsBase,
  EsBase,
  ApicBase,
  Star,
  Lstar,
  Cstar,
  Sfmask,
  SysenterCs,
  SysenterEsp,
  SysenterEip,
  TscAux,
  Pat,
  Ymm0High,
  Ymm1High,
  Ymm2High,
  Ymm3High,
  Ymm4High,
  Ymm5High,
  Ymm6High,
  Ymm7High,
  Ymm8High,
  Ymm9High,
  Ymm10High,
  Ymm11High,
  Ymm12High,
  Ymm13High,
  Ymm14High,
  Ymm15High,
  Pkru,
};

// A register's bytes, little-endian as on the wire.
struct RegisterValue {
  std::array<std::uint8_t, 16> bytes{};

  static RegisterValue from_u64(std::uint64_t value) {
    RegisterValue result;
    std::memcpy(result.bytes.data(), &value, sizeof value);
    return result;
  }
  std::uint64_t as_u64() const {
    std::uint64_t value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
};

// Where each register lives in a CpuState. A selector written through set_register changes the
// selector only, as the fields of a CpuState are set.
RegisterValue get_register(const CpuState& state, Register r);
void set_register(CpuState& state, Register r, const RegisterValue& value);

}  // namespace ringside::x86
