#include "engine/soft/translate/forms/binary.h"

namespace ringside::soft {
namespace {

Emitter::Kind kind_of(Binary operation) {
  switch (operation) {
    case Binary::And:
    case Binary::Or:
    case Binary::Xor:
    case Binary::Test:
      return Emitter::Kind::Logical;
    default:
      return Emitter::Kind::Arithmetic;
  }
}

// TEST has no form with a register before memory: its operands may change places.
void test(Assembler& code, const Xbyak::Operand& to, const Xbyak::Operand& from) {
  if (from.isMEM()) {
    code.test(from, static_cast<const Xbyak::Reg&>(to));
  } else {
    code.test(to, static_cast<const Xbyak::Reg&>(from));
  }
}
void test(Assembler& code, const Xbyak::Operand& to, std::uint32_t immediate) {
  code.test(to, immediate);
}

template <typename Source>
void write(Emitter& emitter, Binary operation, const Xbyak::Operand& to, const Source& from) {
  Assembler& code = emitter.code();
  switch (operation) {
    case Binary::Add:
      code.add(to, from);
      break;
    case Binary::Or:
      code.or_(to, from);
      break;
    case Binary::Adc:
      emitter.need_carry();
      code.adc(to, from);
      break;
    case Binary::Sbb:
      emitter.need_carry();
      code.sbb(to, from);
      break;
    case Binary::And:
      code.and_(to, from);
      break;
    case Binary::Sub:
      code.sub(to, from);
      break;
    case Binary::Xor:
      code.xor_(to, from);
      break;
    case Binary::Cmp:
      code.cmp(to, from);
      break;
    case Binary::Test:
      test(code, to, from);
      break;
  }
  emitter.keep_flags(kind_of(operation));
}

}  // namespace

std::optional<Binary> binary_of(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
      return Binary::Add;
    case ZYDIS_MNEMONIC_OR:
      return Binary::Or;
    case ZYDIS_MNEMONIC_ADC:
      return Binary::Adc;
    case ZYDIS_MNEMONIC_SBB:
      return Binary::Sbb;
    case ZYDIS_MNEMONIC_AND:
      return Binary::And;
    case ZYDIS_MNEMONIC_SUB:
      return Binary::Sub;
    case ZYDIS_MNEMONIC_XOR:
      return Binary::Xor;
    case ZYDIS_MNEMONIC_CMP:
      return Binary::Cmp;
    case ZYDIS_MNEMONIC_TEST:
      return Binary::Test;
    default:
      return std::nullopt;
  }
}

void write_binary(Emitter& emitter, Binary operation, const Xbyak::Operand& to,
                  const Xbyak::Operand& from) {
  write(emitter, operation, to, from);
}
void write_binary(Emitter& emitter, Binary operation, const Xbyak::Operand& to,
                  std::uint32_t immediate) {
  write(emitter, operation, to, immediate);
}

}  // namespace ringside::soft
