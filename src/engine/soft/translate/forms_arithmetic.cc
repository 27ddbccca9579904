// ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT IMUL.
#include "engine/soft/translate/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ah, Xbyak::util::al, Xbyak::util::dl;

enum class Op { Add, Or, Adc, Sbb, And, Sub, Xor, Cmp, Test };

constexpr bool writes(Op op) { return op != Op::Cmp && op != Op::Test; }
constexpr bool takes_carry(Op op) { return op == Op::Adc || op == Op::Sbb; }
constexpr Emitter::Kind kind_of(Op op) {
  return op == Op::And || op == Op::Or || op == Op::Xor || op == Op::Test
             ? Emitter::Kind::Logical
             : Emitter::Kind::Arithmetic;
}

template <Op op, typename Source>
void apply(Emitter& emitter, const Xbyak::Operand& to, const Source& from) {
  Assembler& code = emitter.code();
  if constexpr (takes_carry(op)) emitter.need_carry();
  if constexpr (op == Op::Add) code.add(to, from);
  if constexpr (op == Op::Or) code.or_(to, from);
  if constexpr (op == Op::Adc) code.adc(to, from);
  if constexpr (op == Op::Sbb) code.sbb(to, from);
  if constexpr (op == Op::And) code.and_(to, from);
  if constexpr (op == Op::Sub) code.sub(to, from);
  if constexpr (op == Op::Xor) code.xor_(to, from);
  if constexpr (op == Op::Cmp) code.cmp(to, from);
  if constexpr (op == Op::Test) {
    if constexpr (std::is_same_v<Source, std::uint32_t>) {
      code.test(to, from);
    } else {
      code.test(to, static_cast<const Xbyak::Reg&>(from));
    }
  }
}

template <Op op>
void register_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  apply<op>(emitter, Emitter::sized(where, width), Emitter::sized(source, width));
  if constexpr (writes(op)) emitter.written(to, where);
  emitter.keep_flags(kind_of(op));
}
template <Op op>
void register_immediate(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  apply<op>(emitter, Emitter::sized(where, width), immediate_of(emitter.insn(), width));
  if constexpr (writes(op)) emitter.written(to, where);
  emitter.keep_flags(kind_of(op));
}
template <Op op>
void register_memory(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  emitter.reach_operand(bytes_of(width), AccessKind::Read);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kSecond);
  if constexpr (op == Op::Test) {
    emitter.code().test(Emitter::at(emitter.kAddress, width), Emitter::sized(where, width));
  } else {
    apply<op>(emitter, Emitter::sized(where, width), Emitter::at(emitter.kAddress, width));
  }
  if constexpr (writes(op)) emitter.written(to, where);
  emitter.keep_flags(kind_of(op));
}
template <Op op>
void memory_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  emitter.reach_operand(bytes_of(width), writes(op) ? AccessKind::Write : AccessKind::Read);
  const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  apply<op>(emitter, Emitter::at(emitter.kAddress, width), Emitter::sized(source, width));
  emitter.keep_flags(kind_of(op));
}
template <Op op>
void memory_immediate(Emitter& emitter) {
  const Width width = emitter.decoded().width(0);
  emitter.reach_operand(bytes_of(width), writes(op) ? AccessKind::Write : AccessKind::Read);
  apply<op>(emitter, Emitter::at(emitter.kAddress, width), immediate_of(emitter.insn(), width));
  emitter.keep_flags(kind_of(op));
}

template <Op op>
Emit plan_binary(const Decoded& decoded, const Insn& insn) {
  const auto first = general_register(decoded, 0);
  const auto second = general_register(decoded, 1);
  if (first && second) return register_register<op>;
  if (first && decoded.is_immediate(1)) return register_immediate<op>;
  if (first && is_reachable(decoded, 1, insn)) return register_memory<op>;
  if (!is_reachable(decoded, 0, insn)) return nullptr;
  if (second) return memory_register<op>;
  if (decoded.is_immediate(1)) return memory_immediate<op>;
  return nullptr;
}

enum class Unary { Inc, Dec, Neg, Not };

template <Unary op>
void apply(Emitter& emitter, const Xbyak::Operand& to) {
  Assembler& code = emitter.code();
  constexpr bool kKeepsCarry = op == Unary::Inc || op == Unary::Dec;
  if (kKeepsCarry && emitter.flags_live()) emitter.need_carry();
  if constexpr (op == Unary::Inc) code.inc(to);
  if constexpr (op == Unary::Dec) code.dec(to);
  if constexpr (op == Unary::Neg) code.neg(to);
  if constexpr (op == Unary::Not) code.not_(to);
}
template <Unary op>
void keep_flags(Emitter& emitter) {
  if constexpr (op == Unary::Not) return;
  if (emitter.flags_live()) {
    emitter.keep_flags(Emitter::Kind::Arithmetic);
  } else {
    emitter.lose_host_flags();
  }
}

template <Unary op>
void unary_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  apply<op>(emitter, Emitter::sized(where, decoded.width(0)));
  emitter.written(to, where);
  keep_flags<op>(emitter);
}
template <Unary op>
void unary_memory(Emitter& emitter) {
  const Width width = emitter.decoded().width(0);
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  apply<op>(emitter, Emitter::at(emitter.kAddress, width));
  keep_flags<op>(emitter);
}
template <Unary op>
Emit plan_unary(const Decoded& decoded, const Insn& insn) {
  if (general_register(decoded, 0)) return unary_register<op>;
  return is_reachable(decoded, 0, insn) ? unary_memory<op> : nullptr;
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
  Xbyak::Reg64 where = emitter.kSecond;
  if (!has_immediate) {
    where = emitter.read(to, emitter.kSecond);
  } else if (width == Width::Bits16) {
    where = emitter.read(to, emitter.kSecond);  // its upper part stays
  } else {
    where = emitter.place(to, emitter.kSecond);
  }
  const auto multiply = [&](const Xbyak::Operand& source) {
    if (has_immediate) {
      code.imul(Emitter::sized(where, width), source,
                static_cast<int>(immediate_of(emitter.insn(), width)));
    } else {
      code.imul(Emitter::sized(where, width), source);
    }
  };
  if (in_memory) {
    multiply(Emitter::at(emitter.kAddress, width));
  } else {
    const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kAddress);
    multiply(Emitter::sized(source, width));
  }
  emitter.written(to, where);
  emitter.lose_host_flags();
  if (!emitter.flags_live()) return;
  code.seto(Xbyak::util::cl);
  code.test(Emitter::sized(where, width), Emitter::sized(where, width));
  code.lahf();
  code.and_(ah, 0xee);  // AF and CF
  code.or_(ah, Xbyak::util::cl);
  code.mov(al, Xbyak::util::cl);
}
Emit plan_imul(const Decoded& decoded, const Insn& insn) {
  if (has_one_operand(decoded) || !general_register(decoded, 0)) return nullptr;
  return general_register(decoded, 1) || is_reachable(decoded, 1, insn) ? imul : nullptr;
}

}  // namespace

Emit plan_arithmetic(const Decoded& decoded, const Insn& insn) {
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
      return plan_binary<Op::Add>(decoded, insn);
    case ZYDIS_MNEMONIC_OR:
      return plan_binary<Op::Or>(decoded, insn);
    case ZYDIS_MNEMONIC_ADC:
      return plan_binary<Op::Adc>(decoded, insn);
    case ZYDIS_MNEMONIC_SBB:
      return plan_binary<Op::Sbb>(decoded, insn);
    case ZYDIS_MNEMONIC_AND:
      return plan_binary<Op::And>(decoded, insn);
    case ZYDIS_MNEMONIC_SUB:
      return plan_binary<Op::Sub>(decoded, insn);
    case ZYDIS_MNEMONIC_XOR:
      return plan_binary<Op::Xor>(decoded, insn);
    case ZYDIS_MNEMONIC_CMP:
      return plan_binary<Op::Cmp>(decoded, insn);
    case ZYDIS_MNEMONIC_TEST:
      return plan_binary<Op::Test>(decoded, insn);
    case ZYDIS_MNEMONIC_INC:
      return plan_unary<Unary::Inc>(decoded, insn);
    case ZYDIS_MNEMONIC_DEC:
      return plan_unary<Unary::Dec>(decoded, insn);
    case ZYDIS_MNEMONIC_NEG:
      return plan_unary<Unary::Neg>(decoded, insn);
    case ZYDIS_MNEMONIC_NOT:
      return plan_unary<Unary::Not>(decoded, insn);
    case ZYDIS_MNEMONIC_IMUL:
      return plan_imul(decoded, insn);
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft
