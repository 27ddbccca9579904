// SHL SHR SAR by immediates and by CL, ROL ROR where nobody reads their flags. The flags follow the
// interpreter's rules (instructions/integer/integer_shift.cc): AF is clear, OF is also defined for
// counts above one.
#include "engine/soft/translate/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ah, Xbyak::util::al, Xbyak::util::cl, Xbyak::util::eax;

enum class Shift { Left, Right, ArithmeticRight, RotateLeft, RotateRight };

constexpr bool is_rotation(Shift shift) {
  return shift == Shift::RotateLeft || shift == Shift::RotateRight;
}

template <Shift shift, typename Count>
void apply(Assembler& code, const Xbyak::Operand& operand, Count count) {
  if constexpr (shift == Shift::Left) code.shl(operand, count);
  if constexpr (shift == Shift::Right) code.shr(operand, count);
  if constexpr (shift == Shift::ArithmeticRight) code.sar(operand, count);
  if constexpr (shift == Shift::RotateLeft) code.rol(operand, count);
  if constexpr (shift == Shift::RotateRight) code.ror(operand, count);
}

constexpr int kNoAux = 0xef;  // of AH

// After a shift by a count that is not zero. SF, ZF, PF and CF are the host's.
template <Shift shift>
void keep_flags(Emitter& emitter, unsigned count) {
  emitter.lose_host_flags();
  if (!emitter.flags_live()) return;
  Assembler& code = emitter.code();
  code.lahf();
  if (count == 1 && shift != Shift::ArithmeticRight) {
    code.seto(al);
    code.and_(ah, kNoAux);
  } else if constexpr (shift == Shift::Left) {
    // OF: CF and the sign differ.
    code.mov(al, ah);
    code.shr(al, 7);
    code.xor_(al, ah);
    code.and_(eax, kNoAux << 8 | 1);
  } else {
    code.and_(eax, kNoAux << 8);
  }
}

template <Shift shift>
void shift_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const unsigned to = *general_register(decoded, 0), count = emitter.insn().extra;
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  apply<shift>(emitter.code(), Emitter::sized(where, decoded.width(0)), static_cast<int>(count));
  emitter.written(to, where);
  keep_flags<shift>(emitter, count);
}
template <Shift shift>
void shift_memory(Emitter& emitter) {
  const Width width = emitter.decoded().width(0);
  const unsigned count = emitter.insn().extra;
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  apply<shift>(emitter.code(), Emitter::at(emitter.kAddress, width), static_cast<int>(count));
  keep_flags<shift>(emitter, count);
}

// By CL: only where nobody reads the flags, because a count of zero leaves them as they were.
template <Shift shift>
void shift_by_cl(Emitter& emitter) {
  if (emitter.flags_live()) {
    emitter.call_handler();
    return;
  }
  constexpr unsigned kRcx = 1;
  const Decoded& decoded = emitter.decoded();
  const unsigned to = *general_register(decoded, 0);
  emitter.code().mov(Xbyak::util::ecx, emitter.read(kRcx, emitter.kSecond).cvt32());
  const Xbyak::Reg64 where = emitter.read(to, emitter.kSecond);
  if (decoded.width(0) == Width::Bits32) {
    // Zero extends also when the count is zero.
    emitter.code().mov(where.cvt32(), where.cvt32());
  }
  apply<shift>(emitter.code(), Emitter::sized(where, decoded.width(0)), cl);
  emitter.written(to, where);
  emitter.lose_host_flags();
}

// A rotation changes CF and OF alone: where the flags are live its handler does it.
template <Shift shift>
void rotate_register(Emitter& emitter) {
  if (emitter.flags_live()) {
    emitter.call_handler();
    return;
  }
  shift_register<shift>(emitter);
}

template <Shift shift>
Emit plan(const Decoded& decoded, const Insn& insn) {
  const auto to = general_register(decoded, 0);
  if (decoded.is_immediate(1)) {
    const unsigned count = insn.extra, bits = 8 * bytes_of(decoded.width(0));
    if (count == 0 || count >= bits) return nullptr;
    if constexpr (is_rotation(shift)) return to ? rotate_register<shift> : nullptr;
    if (to) return shift_register<shift>;
    return is_reachable(decoded, 0, insn) ? shift_memory<shift> : nullptr;
  }
  return to && decoded.width(0) >= Width::Bits32 ? shift_by_cl<shift> : nullptr;
}

}  // namespace

Emit plan_shift(const Decoded& decoded, const Insn& insn) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
      return plan<Shift::Left>(decoded, insn);
    case ZYDIS_MNEMONIC_SHR:
      return plan<Shift::Right>(decoded, insn);
    case ZYDIS_MNEMONIC_SAR:
      return plan<Shift::ArithmeticRight>(decoded, insn);
    case ZYDIS_MNEMONIC_ROL:
      return plan<Shift::RotateLeft>(decoded, insn);
    case ZYDIS_MNEMONIC_ROR:
      return plan<Shift::RotateRight>(decoded, insn);
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft
