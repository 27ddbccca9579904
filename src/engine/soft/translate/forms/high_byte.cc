// AH, CH, DH and BH in MOV, MOVZX, MOVSX and the arithmetic of two operands. The host register of a
// guest's RAX has no such part: a source is copied out of it, a destination turned to the low end
// and back.
#include "engine/soft/translate/forms/binary.h"
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::dl, Xbyak::util::edx;

// Operand i as the number of the register whose second byte it is.
std::optional<unsigned> high_byte(const Decoded& decoded, unsigned i) {
  if (!decoded.is_register(i) ||
      ZydisRegisterGetClass(decoded.op(i).reg.value) != ZYDIS_REGCLASS_GPR8 ||
      decoded.reg(i) % 8 == 0) {
    return std::nullopt;
  }
  return decoded.reg(i) / 8;
}

void write(Emitter& emitter, const Xbyak::Operand& to, const Xbyak::Reg8& from) {
  if (const auto operation = binary_of(emitter.decoded().insn.mnemonic)) {
    write_binary(emitter, *operation, to, from);
  } else {
    emitter.code().mov(to, from);
  }
}

// DL = operand i, a register or an immediate.
void load_byte(Emitter& emitter, unsigned i) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  if (const auto high = high_byte(decoded, i)) {
    emitter.load(*high, emitter.kSecond);
    code.shr(edx, 8);
    emitter.lose_host_flags();
  } else if (decoded.is_immediate(i)) {
    code.mov(dl, static_cast<std::uint8_t>(emitter.insn().immediate));
  } else {
    emitter.load(*general_register(decoded, i), emitter.kSecond);
  }
}

void to_register(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  if (decoded.is_memory(1)) {
    emitter.reach_operand(1, AccessKind::Read);
    code.mov(dl, Xbyak::util::byte[emitter.kAddress]);
  } else {
    load_byte(emitter, 1);
  }
  const auto high = high_byte(decoded, 0);
  const unsigned to = high ? *high : *general_register(decoded, 0);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  if (high) {
    code.ror(where, 8);
    emitter.lose_host_flags();
  }
  write(emitter, where.cvt8(), dl);
  if (high) {
    code.rol(where, 8);
    emitter.lose_host_flags();
  }
  emitter.written(to, where);
}

void to_memory(Emitter& emitter) {
  const auto operation = binary_of(emitter.decoded().insn.mnemonic);
  const bool is_write = !operation || writes(*operation);
  emitter.reach_operand(1, is_write ? AccessKind::Write : AccessKind::Read);
  load_byte(emitter, 1);
  write(emitter, Xbyak::util::byte[emitter.kAddress], dl);
}

void extend(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  load_byte(emitter, 1);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kAddress);
  if (decoded.insn.mnemonic == ZYDIS_MNEMONIC_MOVSX) {
    code.movsx(Emitter::sized(where, width), dl);
  } else {
    code.movzx(Emitter::sized(where, width == Width::Bits64 ? Width::Bits32 : width), dl);
  }
  emitter.written(to, where);
}

}  // namespace

Emit plan_high_byte(const Decoded& decoded, const Insn& insn) {
  if (!high_byte(decoded, 0) && !high_byte(decoded, 1)) return nullptr;
  const ZydisMnemonic mnemonic = decoded.insn.mnemonic;
  if (mnemonic == ZYDIS_MNEMONIC_MOVZX || mnemonic == ZYDIS_MNEMONIC_MOVSX)
    return general_register(decoded, 0) ? extend : nullptr;
  if (mnemonic != ZYDIS_MNEMONIC_MOV && !binary_of(mnemonic)) return nullptr;
  const auto is_byte = [&](unsigned i) {
    return high_byte(decoded, i) || general_register(decoded, i) || decoded.is_immediate(i);
  };
  if (decoded.is_memory(0)) return is_reachable(decoded, 0, insn) ? to_memory : nullptr;
  return is_byte(1) || is_reachable(decoded, 1, insn) ? to_register : nullptr;
}

}  // namespace ringside::soft
