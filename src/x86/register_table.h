// The one table of registers that a debugger can name. Everything else comes from it: the g/G/p/P
// packets, target.xml, monitor commands and docs/protocol.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ringside/x86/registers.h"

namespace ringside::x86 {

// Which part of the machine a register belongs to; each becomes a feature of target.xml.
enum class RegisterGroup : std::uint8_t {
  General,
  X87,
  Sse,
  Segments,
  System,
  Avx,
  ProtectionKeys
};

struct RegisterInfo {
  Register id;
  std::string_view name;  // GDB's
  std::uint16_t bits;
  std::string_view
      type;  // GDB's: int64, int32, data_ptr, code_ptr, i387_ext, vec128, uint128, flags by name
  RegisterGroup group;
  constexpr std::size_t size() const { return bits / 8u; }  // bytes on the wire
};

// clang-format off
inline constexpr RegisterInfo kRegisters[] = {
    {Register::Rax, "rax", 64, "int64", RegisterGroup::General},
    {Register::Rbx, "rbx", 64, "int64", RegisterGroup::General},
    {Register::Rcx, "rcx", 64, "int64", RegisterGroup::General},
    {Register::Rdx, "rdx", 64, "int64", RegisterGroup::General},
    {Register::Rsi, "rsi", 64, "int64", RegisterGroup::General},
    {Register::Rdi, "rdi", 64, "int64", RegisterGroup::General},
    {Register::Rbp, "rbp", 64, "data_ptr", RegisterGroup::General},
    {Register::Rsp, "rsp", 64, "data_ptr", RegisterGroup::General},
    {Register::R8, "r8", 64, "int64", RegisterGroup::General},
    {Register::R9, "r9", 64, "int64", RegisterGroup::General},
    {Register::R10, "r10", 64, "int64", RegisterGroup::General},
    {Register::R11, "r11", 64, "int64", RegisterGroup::General},
    {Register::R12, "r12", 64, "int64", RegisterGroup::General},
    {Register::R13, "r13", 64, "int64", RegisterGroup::General},
    {Register::R14, "r14", 64, "int64", RegisterGroup::General},
    {Register::R15, "r15", 64, "int64", RegisterGroup::General},
    {Register::Rip, "rip", 64, "code_ptr", RegisterGroup::General},
    {Register::Eflags, "eflags", 32, "x64_eflags", RegisterGroup::General},
    {Register::Cs, "cs", 32, "int32", RegisterGroup::General},
    {Register::Ss, "ss", 32, "int32", RegisterGroup::General},
    {Register::Ds, "ds", 32, "int32", RegisterGroup::General},
    {Register::Es, "es", 32, "int32", RegisterGroup::General},
    {Register::Fs, "fs", 32, "int32", RegisterGroup::General},
    {Register::Gs, "gs", 32, "int32", RegisterGroup::General},
    {Register::St0, "st0", 80, "i387_ext", RegisterGroup::X87},
    {Register::St1, "st1", 80, "i387_ext", RegisterGroup::X87},
    {Register::St2, "st2", 80, "i387_ext", RegisterGroup::X87},
    {Register::St3, "st3", 80, "i387_ext", RegisterGroup::X87},
    {Register::St4, "st4", 80, "i387_ext", RegisterGroup::X87},
    {Register::St5, "st5", 80, "i387_ext", RegisterGroup::X87},
    {Register::St6, "st6", 80, "i387_ext", RegisterGroup::X87},
    {Register::St7, "st7", 80, "i387_ext", RegisterGroup::X87},
    {Register::Fctrl, "fctrl", 32, "int", RegisterGroup::X87},
    {Register::Fstat, "fstat", 32, "int", RegisterGroup::X87},
    {Register::Ftag, "ftag", 32, "int", RegisterGroup::X87},
    {Register::Fiseg, "fiseg", 32, "int", RegisterGroup::X87},
    {Register::Fioff, "fioff", 32, "int", RegisterGroup::X87},
    {Register::Foseg, "foseg", 32, "int", RegisterGroup::X87},
    {Register::Fooff, "fooff", 32, "int", RegisterGroup::X87},
    {Register::Fop, "fop", 32, "int", RegisterGroup::X87},
    {Register::Xmm0, "xmm0", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm1, "xmm1", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm2, "xmm2", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm3, "xmm3", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm4, "xmm4", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm5, "xmm5", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm6, "xmm6", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm7, "xmm7", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm8, "xmm8", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm9, "xmm9", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm10, "xmm10", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm11, "xmm11", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm12, "xmm12", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm13, "xmm13", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm14, "xmm14", 128, "vec128", RegisterGroup::Sse},
    {Register::Xmm15, "xmm15", 128, "vec128", RegisterGroup::Sse},
    {Register::Mxcsr, "mxcsr", 32, "x64_mxcsr", RegisterGroup::Sse},
    {Register::FsBase, "fs_base", 64, "int64", RegisterGroup::Segments},
    {Register::GsBase, "gs_base", 64, "int64", RegisterGroup::Segments},
    {Register::KernelGsBase, "k_gs_base", 64, "int64", RegisterGroup::System},
    {Register::Cr0, "cr0", 64, "x64_cr0", RegisterGroup::System},
    {Register::Cr2, "cr2", 64, "int64", RegisterGroup::System},
    {Register::Cr3, "cr3", 64, "int64", RegisterGroup::System},
    {Register::Cr4, "cr4", 64, "x64_cr4", RegisterGroup::System},
    {Register::Cr8, "cr8", 64, "int64", RegisterGroup::System},
    {Register::Efer, "efer", 64, "x64_efer", RegisterGroup::System},
    {Register::Xcr0, "xcr0", 64, "int64", RegisterGroup::System},
    {Register::Dr0, "dr0", 64, "int64", RegisterGroup::System},
    {Register::Dr1, "dr1", 64, "int64", RegisterGroup::System},
    {Register::Dr2, "dr2", 64, "int64", RegisterGroup::System},
    {Register::Dr3, "dr3", 64, "int64", RegisterGroup::System},
    {Register::Dr6, "dr6", 64, "int64", RegisterGroup::System},
    {Register::Dr7, "dr7", 64, "int64", RegisterGroup::System},
    {Register::GdtrBase, "gdtr_base", 64, "int64", RegisterGroup::System},
    {Register::GdtrLimit, "gdtr_limit", 32, "int32", RegisterGroup::System},
    {Register::IdtrBase, "idtr_base", 64, "int64", RegisterGroup::System},
    {Register::IdtrLimit, "idtr_limit", 32, "int32", RegisterGroup::System},
    {Register::Ldtr, "ldtr", 32, "int32", RegisterGroup::System},
    {Register::LdtrBase, "ldtr_base", 64, "int64", RegisterGroup::System},
    {Register::Tr, "tr", 32, "int32", RegisterGroup::System},
    {Register::TrBase, "tr_base", 64, "int64", RegisterGroup::System},
    {Register::CsBase, "cs_base", 64, "int64", RegisterGroup::System},
    {Register::SsBase, "ss_base", 64, "int64", RegisterGroup::System},
    {Register::DsBase, "ds_base", 64, "int64", RegisterGroup::System},
    {Register::EsBase, "es_base", 64, "int64", RegisterGroup::System},
    {Register::ApicBase, "apic_base", 64, "int64", RegisterGroup::System},
    {Register::Star, "star", 64, "int64", RegisterGroup::System},
    {Register::Lstar, "lstar", 64, "int64", RegisterGroup::System},
    {Register::Cstar, "cstar", 64, "int64", RegisterGroup::System},
    {Register::Sfmask, "sfmask", 64, "int64", RegisterGroup::System},
    {Register::SysenterCs, "sysenter_cs", 64, "int64", RegisterGroup::System},
    {Register::SysenterEsp, "sysenter_esp", 64, "int64", RegisterGroup::System},
    {Register::SysenterEip, "sysenter_eip", 64, "int64", RegisterGroup::System},
    {Register::TscAux, "tsc_aux", 64, "int64", RegisterGroup::System},
    {Register::Pat, "pat", 64, "int64", RegisterGroup::System},
    {Register::Ymm0High, "ymm0h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm1High, "ymm1h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm2High, "ymm2h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm3High, "ymm3h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm4High, "ymm4h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm5High, "ymm5h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm6High, "ymm6h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm7High, "ymm7h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm8High, "ymm8h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm9High, "ymm9h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm10High, "ymm10h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm11High, "ymm11h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm12High, "ymm12h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm13High, "ymm13h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm14High, "ymm14h", 128, "uint128", RegisterGroup::Avx},
    {Register::Ymm15High, "ymm15h", 128, "uint128", RegisterGroup::Avx},
    {Register::Pkru, "pkru", 32, "uint32", RegisterGroup::ProtectionKeys},
};
// clang-format on
inline constexpr std::size_t kRegisterCount = sizeof kRegisters / sizeof kRegisters[0];
// The `g` packet of a client that has not read the description: rax..gs, 164 bytes.
inline constexpr std::size_t kModelRegisterCount = 24;

// Each row is where its number says.
constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    if (static_cast<std::size_t>(kRegisters[i].id) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

// The whole table as the `g` packet has it, in its order and widths: `out` is as long as they are
// together.
inline constexpr std::size_t kTableSize = [] {
  std::size_t size = 0;
  for (const RegisterInfo& r : kRegisters)
    size += r.size();
  return size;
}();
void write_registers(const CpuState& state, std::span<std::byte> out);

constexpr const RegisterInfo& info(Register r) { return kRegisters[static_cast<std::size_t>(r)]; }
std::optional<Register> register_by_name(std::string_view name);

}  // namespace ringside::x86
