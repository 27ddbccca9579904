// ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT.
#include "engine/soft/translate/forms/binary.h"
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

Binary operation(Emitter& emitter) { return *binary_of(emitter.decoded().insn.mnemonic); }

void to_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  if (decoded.is_memory(1)) emitter.reach_operand(bytes_of(width), AccessKind::Read);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kSecond);
  const Xbyak::Reg target = Emitter::sized(where, width);
  if (const auto from = general_register(decoded, 1)) {
    write_binary(emitter, operation(emitter), target,
                 Emitter::sized(emitter.read(*from, emitter.kThird), width));
  } else if (decoded.is_memory(1)) {
    write_binary(emitter, operation(emitter), target, Emitter::at(emitter.kAddress, width));
  } else {
    write_binary(emitter, operation(emitter), target, immediate_of(emitter.insn(), width));
  }
  if (writes(operation(emitter))) emitter.written(to, where);
}

void to_memory(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(0);
  const bool is_write = writes(operation(emitter));
  emitter.reach_operand(bytes_of(width), is_write ? AccessKind::Write : AccessKind::Read);
  const Xbyak::Address target = Emitter::at(emitter.kAddress, width);
  if (const auto from = general_register(decoded, 1)) {
    write_binary(emitter, operation(emitter), target,
                 Emitter::sized(emitter.read(*from, emitter.kSecond), width));
  } else {
    write_binary(emitter, operation(emitter), target, immediate_of(emitter.insn(), width));
  }
}

Emit plan_binary(const Decoded& decoded, const Insn& insn) {
  const bool from_inside = general_register(decoded, 1) || decoded.is_immediate(1);
  if (general_register(decoded, 0))
    return from_inside || is_reachable(decoded, 1, insn) ? to_register : nullptr;
  return from_inside && is_reachable(decoded, 0, insn) ? to_memory : nullptr;
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

}  // namespace

Emit plan_arithmetic(const Decoded& decoded, const Insn& insn) {
  if (binary_of(decoded.insn.mnemonic)) return plan_binary(decoded, insn);
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_INC:
      return plan_unary<Unary::Inc>(decoded, insn);
    case ZYDIS_MNEMONIC_DEC:
      return plan_unary<Unary::Dec>(decoded, insn);
    case ZYDIS_MNEMONIC_NEG:
      return plan_unary<Unary::Neg>(decoded, insn);
    case ZYDIS_MNEMONIC_NOT:
      return plan_unary<Unary::Not>(decoded, insn);
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft
