// MUL IMUL DIV IDIV. Where the guest's use RAX and RDX, the host's do, of which the first has the
// flags: forms of 32 and 64 bits. Flags that the manual leaves undefined are the interpreter's
// (instructions/integer/integer_multiply.cc).
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ah, Xbyak::util::al, Xbyak::util::cl, Xbyak::util::rax, Xbyak::util::rdx;

constexpr unsigned kRax = 0, kRdx = 2;
const Xbyak::Reg64 kGuestRax(kHostRegister[kRax]), kGuestRdx(kHostRegister[kRdx]);
static_assert(kHostRegister[kRax] >= 0 && kHostRegister[kRdx] >= 0,
              "both halves are in host registers");

// After a multiplication: CF and OF are the host's OF, SF, ZF and PF those of the lower half, AF is
// clear.
void keep_product_flags(Emitter& emitter, const Xbyak::Reg& low) {
  emitter.lose_host_flags();
  if (!emitter.flags_live()) return;
  Assembler& code = emitter.code();
  code.seto(cl);
  code.test(low, low);
  code.lahf();
  code.and_(ah, 0xee);
  code.or_(ah, cl);
  code.mov(al, cl);
}

// kAddress = the operand.
void load_operand(Emitter& emitter, Width width) {
  const Decoded& decoded = emitter.decoded();
  if (decoded.is_memory(0)) {
    emitter.reach_operand(bytes_of(width), AccessKind::Read);
    emitter.code().mov(Emitter::sized(emitter.kAddress, width),
                       Emitter::at(emitter.kAddress, width));
  } else {
    emitter.load(*general_register(decoded, 0), emitter.kAddress);
  }
}

enum class Sign { Unsigned, Signed };

template <Sign sign>
void multiply(Emitter& emitter) {
  Assembler& code = emitter.code();
  const Width width = emitter.decoded().width(0);
  load_operand(emitter, width);
  code.mov(emitter.kThird, rax);
  code.mov(rax, kGuestRax);
  if constexpr (sign == Sign::Unsigned) {
    code.mul(Emitter::sized(emitter.kAddress, width));
  } else {
    code.imul(Emitter::sized(emitter.kAddress, width));
  }
  // A 32-bit instruction has cleared the upper halves.
  code.mov(kGuestRax, rax);
  code.mov(kGuestRdx, rdx);
  code.mov(rax, emitter.kThird);
  keep_product_flags(emitter, Emitter::sized(kGuestRax, width));
}

// IMUL of two or three operands. CF and OF: the product does not fit. SF, ZF and PF are those of
// the result and AF is clear, where the manual leaves them undefined.
void imul(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const bool has_immediate = decoded.insn.operand_count_visible == 3;
  const bool in_memory = decoded.is_memory(1);
  if (in_memory) emitter.reach_operand(bytes_of(width), AccessKind::Read);
  // The destination is a factor, or keeps its upper part.
  const bool is_read = !has_immediate || width == Width::Bits16;
  const Xbyak::Reg64 where =
      is_read ? emitter.read(to, emitter.kSecond) : emitter.place(to, emitter.kSecond);
  const auto write = [&](const Xbyak::Operand& source) {
    if (has_immediate) {
      code.imul(Emitter::sized(where, width), source,
                static_cast<int>(immediate_of(emitter.insn(), width)));
    } else {
      code.imul(Emitter::sized(where, width), source);
    }
  };
  if (in_memory) {
    write(Emitter::at(emitter.kAddress, width));
  } else {
    const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kAddress);
    write(Emitter::sized(source, width));
  }
  emitter.written(to, where);
  keep_product_flags(emitter, Emitter::sized(where, width));
}
Emit plan_imul(const Decoded& decoded, const Insn& insn) {
  if (!general_register(decoded, 0)) return nullptr;
  return general_register(decoded, 1) || is_reachable(decoded, 1, insn) ? imul : nullptr;
}

// The handler raises what there is to raise, and does what is seldom.
void divide_unsigned(Emitter& emitter) {
  Assembler& code = emitter.code();
  const Width width = emitter.decoded().width(0);
  const Xbyak::Reg divisor = Emitter::sized(emitter.kAddress, width);
  load_operand(emitter, width);
  code.cmp(Emitter::sized(kGuestRdx, width), divisor);
  emitter.handler_if(condition::kAboveOrEqual);
  code.mov(emitter.kThird, rax);
  code.mov(rdx, kGuestRdx);
  code.mov(rax, kGuestRax);
  code.div(divisor);
  code.mov(kGuestRax, rax);
  code.mov(kGuestRdx, rdx);
  code.mov(rax, emitter.kThird);
}
// Where the upper half is the sign of the lower one and the divisor is neither 0 nor -1.
void divide_signed(Emitter& emitter) {
  Assembler& code = emitter.code();
  const Width width = emitter.decoded().width(0);
  const Xbyak::Reg divisor = Emitter::sized(emitter.kAddress, width);
  const Xbyak::Reg sign = Emitter::sized(emitter.kSecond, width);
  load_operand(emitter, width);
  code.mov(sign, Emitter::sized(kGuestRax, width));
  code.sar(sign, width == Width::Bits64 ? 63 : 31);
  code.cmp(sign, Emitter::sized(kGuestRdx, width));
  emitter.handler_if(condition::kNotEqual);
  code.lea(Emitter::sized(emitter.kThird, width), Xbyak::util::ptr[emitter.kAddress + 1]);
  code.cmp(Emitter::sized(emitter.kThird, width), 1);
  emitter.handler_if(condition::kBelowOrEqual);
  code.mov(emitter.kThird, rax);
  code.mov(rax, kGuestRax);
  code.idiv(divisor);
  code.mov(kGuestRax, rax);
  code.mov(kGuestRdx, rdx);
  code.mov(rax, emitter.kThird);
}

}  // namespace

Emit plan_multiply(const Decoded& decoded, const Insn& insn) {
  if (decoded.insn.mnemonic == ZYDIS_MNEMONIC_IMUL && !has_one_operand(decoded))
    return plan_imul(decoded, insn);
  if (!decoded.is_register(0) && !decoded.is_memory(0)) return nullptr;
  if (!general_register(decoded, 0) && !is_reachable(decoded, 0, insn)) return nullptr;
  if (decoded.width(0) < Width::Bits32) return nullptr;
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_MUL:
      return multiply<Sign::Unsigned>;
    case ZYDIS_MNEMONIC_IMUL:
      return multiply<Sign::Signed>;
    case ZYDIS_MNEMONIC_DIV:
      return divide_unsigned;
    case ZYDIS_MNEMONIC_IDIV:
      return divide_signed;
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft
