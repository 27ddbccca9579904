#include "ringside/x86/registers.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "x86/register_table.h"

namespace ringside::x86 {
namespace {

constexpr Gpr kGprOrder[] = {Gpr::Rax, Gpr::Rbx, Gpr::Rcx, Gpr::Rdx, Gpr::Rsi, Gpr::Rdi,
                             Gpr::Rbp, Gpr::Rsp, Gpr::R8,  Gpr::R9,  Gpr::R10, Gpr::R11,
                             Gpr::R12, Gpr::R13, Gpr::R14, Gpr::R15};
constexpr SegmentName kSelectorOrder[] = {SegmentName::Cs, SegmentName::Ss, SegmentName::Ds,
                                          SegmentName::Es, SegmentName::Fs, SegmentName::Gs};

// Calls `visit` with the integer field that holds `r`, if it is a plain one.
template <typename State, typename Visit>
bool with_field(State& s, Register r, Visit visit) {
  if (r <= Register::R15) {
    visit(s.reg(kGprOrder[static_cast<std::size_t>(r)]));
    return true;
  }
  if (r >= Register::Cs && r <= Register::Gs) {
    const auto index = static_cast<std::size_t>(r) - static_cast<std::size_t>(Register::Cs);
    visit(s.seg(kSelectorOrder[index]).selector);
    return true;
  }
  if (r >= Register::Dr0 && r <= Register::Dr3) {
    visit(s.dr[static_cast<std::size_t>(r) - static_cast<std::size_t>(Register::Dr0)]);
    return true;
  }
  switch (r) {
    case Register::Rip:
      visit(s.rip);
      return true;
    case Register::Eflags:
      visit(s.rflags);
      return true;
    case Register::Fctrl:
      visit(s.fpu.control);
      return true;
    case Register::Fstat:
      visit(s.fpu.status);
      return true;
    case Register::Ftag:
      visit(s.fpu.tag);
      return true;
    case Register::Fiseg:
      visit(s.fpu.instruction_selector);
      return true;
    case Register::Fioff:
      visit(s.fpu.instruction_pointer);
      return true;
    case Register::Foseg:
      visit(s.fpu.data_selector);
      return true;
    case Register::Fooff:
      visit(s.fpu.data_pointer);
      return true;
    case Register::Fop:
      visit(s.fpu.opcode);
      return true;
    case Register::Mxcsr:
      visit(s.fpu.mxcsr);
      return true;
    case Register::FsBase:
      visit(s.seg(SegmentName::Fs).base);
      return true;
    case Register::GsBase:
      visit(s.seg(SegmentName::Gs).base);
      return true;
    case Register::KernelGsBase:
      visit(s.kernel_gs_base);
      return true;
    case Register::Cr0:
      visit(s.cr0);
      return true;
    case Register::Cr2:
      visit(s.cr2);
      return true;
    case Register::Cr3:
      visit(s.cr3);
      return true;
    case Register::Cr4:
      visit(s.cr4);
      return true;
    case Register::Cr8:
      visit(s.cr8);
      return true;
    case Register::Efer:
      visit(s.efer);
      return true;
    case Register::Xcr0:
      visit(s.xcr0);
      return true;
    case Register::Dr6:
      visit(s.dr6);
      return true;
    case Register::Dr7:
      visit(s.dr7);
      return true;
    case Register::GdtrBase:
      visit(s.gdtr.base);
      return true;
    case Register::GdtrLimit:
      visit(s.gdtr.limit);
      return true;
    case Register::IdtrBase:
      visit(s.idtr.base);
      return true;
    case Register::IdtrLimit:
      visit(s.idtr.limit);
      return true;
    case Register::Ldtr:
      visit(s.ldtr.selector);
      return true;
    case Register::LdtrBase:
      visit(s.ldtr.base);
      return true;
    case Register::Tr:
      visit(s.tr.selector);
      return true;
    case Register::TrBase:
      visit(s.tr.base);
      return true;
    case Register::CsBase:
      visit(s.seg(SegmentName::Cs).base);
      return true;
    case Register::SsBase:
      visit(s.seg(SegmentName::Ss).base);
      return true;
    case Register::DsBase:
      visit(s.seg(SegmentName::Ds).base);
      return true;
    case Register::EsBase:
      visit(s.seg(SegmentName::Es).base);
      return true;
    case Register::ApicBase:
      visit(s.apic_base);
      return true;
    case Register::Star:
      visit(s.star);
      return true;
    case Register::Lstar:
      visit(s.lstar);
      return true;
    case Register::Cstar:
      visit(s.cstar);
      return true;
    case Register::Sfmask:
      visit(s.sfmask);
      return true;
    case Register::SysenterCs:
      visit(s.sysenter_cs);
      return true;
    case Register::SysenterEsp:
      visit(s.sysenter_esp);
      return true;
    case Register::SysenterEip:
      visit(s.sysenter_eip);
      return true;
    case Register::TscAux:
      visit(s.tsc_aux);
      return true;
    case Register::Pat:
      visit(s.pat);
      return true;
    case Register::Pkru:
      visit(s.pkru);
      return true;
    default:
      return false;
  }
}

std::size_t offset_from(Register r, Register first) {
  return static_cast<std::size_t>(r) - static_cast<std::size_t>(first);
}

// The 16 bytes of an XMM register, or of what is above it in the YMM register.
template <typename State>
auto vector_half(State& state, Register r) {
  return r >= Register::Ymm0High ? &state.fpu.vector[offset_from(r, Register::Ymm0High)][16]
                                 : &state.fpu.vector[offset_from(r, Register::Xmm0)][0];
}
bool is_vector_half(Register r) {
  return (r >= Register::Xmm0 && r <= Register::Xmm15) ||
         (r >= Register::Ymm0High && r <= Register::Ymm15High);
}

// Where a register is in a CpuState, and how wide it is there and on the wire.
struct Piece {
  std::uint16_t from = 0;
  std::uint8_t held = 0, sent = 0;
};

std::array<Piece, kRegisterCount> find_pieces() {
  CpuState state;  // not const: then reg() would give a copy
  std::array<Piece, kRegisterCount> pieces;
  const auto offset = [&](const void* field) {
    return static_cast<std::uint16_t>(static_cast<const std::byte*>(field) -
                                      reinterpret_cast<const std::byte*>(&state));
  };
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    const auto r = static_cast<Register>(i);
    Piece& piece = pieces[i];
    piece.sent = piece.held = static_cast<std::uint8_t>(kRegisters[i].size());
    const bool plain = with_field(state, r, [&](auto& field) {
      piece.from = offset(&field);
      piece.held = sizeof field;
    });
    if (plain) continue;
    piece.from = r >= Register::St0 && r <= Register::St7
                     ? offset(&state.fpu.st[offset_from(r, Register::St0)])
                     : offset(vector_half(state, r));
  }
  return pieces;
}

template <typename T>
std::uint64_t load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

std::optional<Register> register_by_name(std::string_view name) {
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    if (kRegisters[i].name == name) return static_cast<Register>(i);
  }
  return std::nullopt;
}

RegisterValue get_register(const CpuState& state, Register r) {
  RegisterValue value;
  if (with_field(state, r, [&](auto field) { value = RegisterValue::from_u64(field); }))
    return value;
  if (r >= Register::St0 && r <= Register::St7) {
    value.bytes = state.fpu.st[offset_from(r, Register::St0)];
  } else if (is_vector_half(r)) {
    std::memcpy(value.bytes.data(), vector_half(state, r), 16);
  }
  return value;
}

// The sizes are constants for the compiler: a tracepoint does this at each hit.
void write_registers(const CpuState& state, std::span<std::byte> out) {
  static const std::array<Piece, kRegisterCount> pieces = find_pieces();
  std::byte* to = out.data();
  for (const Piece& piece : pieces) {
    const std::byte* const from = reinterpret_cast<const std::byte*>(&state) + piece.from;
    if (piece.sent > 8) {
      // 80 and 128 bits: each is held in 16 bytes.
      std::memcpy(to, from, 8);
      if (piece.sent == 16) {
        std::memcpy(to + 8, from + 8, 8);
      } else {
        std::memcpy(to + 8, from + 8, 2);
      }
    } else {
      const std::uint64_t value = piece.held == 8   ? load<std::uint64_t>(from)
                                  : piece.held == 4 ? load<std::uint32_t>(from)
                                                    : load<std::uint16_t>(from);
      if (piece.sent == 8) {
        std::memcpy(to, &value, 8);
      } else {
        std::memcpy(to, &value, 4);
      }
    }
    to += piece.sent;
  }
}

void set_register(CpuState& state, Register r, const RegisterValue& value) {
  const bool plain = with_field(state, r, [&](auto& field) {
    field = static_cast<std::remove_reference_t<decltype(field)>>(value.as_u64());
  });
  if (plain) return;
  if (r >= Register::St0 && r <= Register::St7) {
    X87Register& st = state.fpu.st[offset_from(r, Register::St0)];
    st = {};
    std::memcpy(st.data(), value.bytes.data(), 10);
  } else if (is_vector_half(r)) {
    std::memcpy(vector_half(state, r), value.bytes.data(), 16);
  }
}

}  // namespace ringside::x86
