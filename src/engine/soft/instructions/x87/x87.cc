#include "engine/soft/instructions/x87/x87.h"

namespace ringside::soft {
namespace x87 {
namespace {

const Table& handlers() {
  static const Table table = [] {
    Table t;
    add_arithmetic(t);
    add_compares(t);
    add_loads_and_stores(t);
    add_transcendentals(t);
    add_control(t);
    return t;
  }();
  return table;
}

bool lower(const Decoded& decoded, Insn& insn) {
  const unsigned row = decoded.insn.opcode - 0xd8u;
  if (decoded.insn.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT || row > 7) return false;
  const auto& modrm = decoded.insn.raw.modrm;
  // The opcode register holds the low three bits of the first byte and the ModRM byte.
  insn.immediate = row << 8 | modrm.mod << 6 | modrm.reg << 3 | modrm.rm;
  if (modrm.mod == 3) {
    insn.rm = modrm.rm;
    insn.execute = handlers().registers[row][modrm.reg << 3 | modrm.rm];
    return insn.execute != nullptr;
  }
  insn.execute = handlers().memory[row][modrm.reg];
  for (unsigned i = 0; i < decoded.insn.operand_count; ++i) {
    if (!decoded.is_memory(i)) continue;
    lower_memory(decoded, i, insn);
    return insn.execute != nullptr;
  }
  return false;
}

void fwait(Cpu& cpu, const Insn&) {
  constexpr std::uint64_t kMonitored = x86::cr0::MP | x86::cr0::TS;
  if ((cpu.cr0 & kMonitored) == kMonitored) raise(x86::Vector::DeviceNotAvailable);
  if ((cpu.fpu.status & kErrorSummary) != 0 && (cpu.cr0 & x86::cr0::NE) != 0)
    raise(x86::Vector::X87Error);
}
bool lower_fwait(const Decoded&, Insn& insn) {
  insn.execute = fwait;
  return true;
}

std::uint16_t selector_of(const Cpu& cpu, std::uint8_t use) {
  using x86::SegmentName;
  switch (use) {
    case segment_use::kFlat:
      return cpu.seg(SegmentName::Ds).selector;
    case segment_use::kFlatStack:
      return cpu.seg(SegmentName::Ss).selector;
    case segment_use::kFs64:
      return cpu.seg(SegmentName::Fs).selector;
    case segment_use::kGs64:
      return cpu.seg(SegmentName::Gs).selector;
    default:
      return cpu.segment[use].selector;
  }
}

}  // namespace

void unavailable(const Cpu& cpu) {
  if ((cpu.cr0 & (x86::cr0::EM | x86::cr0::TS)) != 0) raise(x86::Vector::DeviceNotAvailable);
  raise(x86::Vector::X87Error);
}

void record_with_memory(Cpu& cpu, const Insn& insn) {
  record(cpu, insn);
  cpu.fpu.data_pointer = cpu.effective_offset(insn);
  cpu.fpu.data_selector = selector_of(cpu, insn.segment);
}

}  // namespace x87

void register_x87(LowerTable& table) {
  for (const ZydisMnemonic mnemonic :
       {ZYDIS_MNEMONIC_F2XM1,         ZYDIS_MNEMONIC_FABS,          ZYDIS_MNEMONIC_FADD,
        ZYDIS_MNEMONIC_FADDP,         ZYDIS_MNEMONIC_FBLD,          ZYDIS_MNEMONIC_FBSTP,
        ZYDIS_MNEMONIC_FCHS,          ZYDIS_MNEMONIC_FCMOVB,        ZYDIS_MNEMONIC_FCMOVBE,
        ZYDIS_MNEMONIC_FCMOVE,        ZYDIS_MNEMONIC_FCMOVNB,       ZYDIS_MNEMONIC_FCMOVNBE,
        ZYDIS_MNEMONIC_FCMOVNE,       ZYDIS_MNEMONIC_FCMOVNU,       ZYDIS_MNEMONIC_FCMOVU,
        ZYDIS_MNEMONIC_FCOM,          ZYDIS_MNEMONIC_FCOMI,         ZYDIS_MNEMONIC_FCOMIP,
        ZYDIS_MNEMONIC_FCOMP,         ZYDIS_MNEMONIC_FCOMPP,        ZYDIS_MNEMONIC_FCOS,
        ZYDIS_MNEMONIC_FDECSTP,       ZYDIS_MNEMONIC_FDISI8087_NOP, ZYDIS_MNEMONIC_FDIV,
        ZYDIS_MNEMONIC_FDIVP,         ZYDIS_MNEMONIC_FDIVR,         ZYDIS_MNEMONIC_FDIVRP,
        ZYDIS_MNEMONIC_FENI8087_NOP,  ZYDIS_MNEMONIC_FFREE,         ZYDIS_MNEMONIC_FFREEP,
        ZYDIS_MNEMONIC_FIADD,         ZYDIS_MNEMONIC_FICOM,         ZYDIS_MNEMONIC_FICOMP,
        ZYDIS_MNEMONIC_FIDIV,         ZYDIS_MNEMONIC_FIDIVR,        ZYDIS_MNEMONIC_FILD,
        ZYDIS_MNEMONIC_FIMUL,         ZYDIS_MNEMONIC_FINCSTP,       ZYDIS_MNEMONIC_FIST,
        ZYDIS_MNEMONIC_FISTP,         ZYDIS_MNEMONIC_FISTTP,        ZYDIS_MNEMONIC_FISUB,
        ZYDIS_MNEMONIC_FISUBR,        ZYDIS_MNEMONIC_FLD,           ZYDIS_MNEMONIC_FLD1,
        ZYDIS_MNEMONIC_FLDCW,         ZYDIS_MNEMONIC_FLDENV,        ZYDIS_MNEMONIC_FLDL2E,
        ZYDIS_MNEMONIC_FLDL2T,        ZYDIS_MNEMONIC_FLDLG2,        ZYDIS_MNEMONIC_FLDLN2,
        ZYDIS_MNEMONIC_FLDPI,         ZYDIS_MNEMONIC_FLDZ,          ZYDIS_MNEMONIC_FMUL,
        ZYDIS_MNEMONIC_FMULP,         ZYDIS_MNEMONIC_FNCLEX,        ZYDIS_MNEMONIC_FNINIT,
        ZYDIS_MNEMONIC_FNOP,          ZYDIS_MNEMONIC_FNSAVE,        ZYDIS_MNEMONIC_FNSTCW,
        ZYDIS_MNEMONIC_FNSTENV,       ZYDIS_MNEMONIC_FNSTSW,        ZYDIS_MNEMONIC_FPATAN,
        ZYDIS_MNEMONIC_FPREM,         ZYDIS_MNEMONIC_FPREM1,        ZYDIS_MNEMONIC_FPTAN,
        ZYDIS_MNEMONIC_FRNDINT,       ZYDIS_MNEMONIC_FRSTOR,        ZYDIS_MNEMONIC_FSCALE,
        ZYDIS_MNEMONIC_FSETPM287_NOP, ZYDIS_MNEMONIC_FSIN,          ZYDIS_MNEMONIC_FSINCOS,
        ZYDIS_MNEMONIC_FSQRT,         ZYDIS_MNEMONIC_FST,           ZYDIS_MNEMONIC_FSTP,
        ZYDIS_MNEMONIC_FSTPNCE,       ZYDIS_MNEMONIC_FSUB,          ZYDIS_MNEMONIC_FSUBP,
        ZYDIS_MNEMONIC_FSUBR,         ZYDIS_MNEMONIC_FSUBRP,        ZYDIS_MNEMONIC_FTST,
        ZYDIS_MNEMONIC_FUCOM,         ZYDIS_MNEMONIC_FUCOMI,        ZYDIS_MNEMONIC_FUCOMIP,
        ZYDIS_MNEMONIC_FUCOMP,        ZYDIS_MNEMONIC_FUCOMPP,       ZYDIS_MNEMONIC_FXAM,
        ZYDIS_MNEMONIC_FXCH,          ZYDIS_MNEMONIC_FXTRACT,       ZYDIS_MNEMONIC_FYL2X,
        ZYDIS_MNEMONIC_FYL2XP1}) {
    table.add(mnemonic, x87::lower);
  }
  table.add(ZYDIS_MNEMONIC_FWAIT, x87::lower_fwait);
}

}  // namespace ringside::soft
