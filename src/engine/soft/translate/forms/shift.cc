// SHL SHR SAR ROL ROR by immediates and by CL. The flags follow the interpreter's rules
// (instructions/integer/integer_shift.cc): AF is clear, OF is also defined for counts above one.
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ah, Xbyak::util::al, Xbyak::util::cl, Xbyak::util::dl, Xbyak::util::eax;

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

// After a rotation by a count that is not zero: CF is the bit that went round, OF what the manual
// says for a count of one. The other flags stay. kSecond changes.
template <Shift shift>
void keep_rotation_flags(Emitter& emitter, const Xbyak::Reg64& result) {
  Assembler& code = emitter.code();
  const Width width = emitter.decoded().width(0);
  const int bits = static_cast<int>(8 * bytes_of(width));
  const Xbyak::Reg part = Emitter::sized(emitter.kSecond, width);
  emitter.settle_aux();
  code.and_(ah, 0xfe);
  code.mov(emitter.kSecond, result);
  if constexpr (shift == Shift::RotateLeft) {
    code.shr(part, bits - 1);
    code.mov(al, dl);
    code.mov(emitter.kSecond, result);
    code.and_(dl, 1);
  } else {
    code.shr(part, bits - 2);
    code.mov(al, dl);
    code.and_(al, 1);
    code.shr(dl, 1);
    code.and_(dl, 1);
  }
  code.xor_(al, dl);
  code.or_(ah, dl);
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

// By CL. A count of zero leaves the flags as they are, though a 32-bit register is written.
template <Shift shift>
void shift_by_cl(Emitter& emitter) {
  constexpr unsigned kRcx = 1;
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const bool live = emitter.flags_live();
  code.mov(Xbyak::util::ecx, emitter.read(kRcx, emitter.kSecond).cvt32());
  const Xbyak::Reg64 where = emitter.read(to, emitter.kThird);
  const Xbyak::Reg operand = Emitter::sized(where, width);
  if (width == Width::Bits32) code.mov(operand, operand);
  std::size_t none = 0;
  if (live) {
    code.test(cl, width == Width::Bits64 ? 63 : 31);
    none = code.jump_if(condition::kEqual);
  }
  apply<shift>(code, operand, cl);
  if (live) {
    if constexpr (is_rotation(shift)) {
      keep_rotation_flags<shift>(emitter, where);
    } else if constexpr (shift == Shift::Right) {
      // OF: the two upper bits of the result differ, and the first one is clear.
      code.lahf();
      code.mov(emitter.kSecond, where);
      code.shr(Emitter::sized(emitter.kSecond, width), width == Width::Bits64 ? 62 : 30);
      code.and_(Xbyak::util::edx, 1);
      code.and_(ah, kNoAux);
      code.mov(al, dl);
    } else {
      keep_flags<shift>(emitter, 0);
    }
    code.set_destination(none, code.position());
  }
  emitter.written(to, where);
  emitter.lose_host_flags();
}

template <Shift shift>
void rotate_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  apply<shift>(emitter.code(), Emitter::sized(where, decoded.width(0)),
               static_cast<int>(emitter.insn().extra));
  emitter.written(to, where);
  emitter.lose_host_flags();
  if (emitter.flags_live()) keep_rotation_flags<shift>(emitter, where);
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
