// BMI1, BMI2, LZCNT and ADX: what x86-64-v3 has for general registers. Flags that the manual leaves
// undefined are the interpreter's (instructions/integer/integer_bit_fields.cc): PF is the result's,
// AF clear.
#include "engine/soft/translate/emitter/host_features.h"
#include "engine/soft/translate/forms/forms.h"
#include "engine/soft/translate/forms/write_again.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ah, Xbyak::util::al, Xbyak::util::cl;

// What the arithmetic flags are after it.
enum class FlagsOf {
  Nothing,         // they stay
  Result,          // CF and OF are clear
  ResultAndCarry,  // CF is the host's, OF is clear
};

// The host's CF is that of the instruction. kAddress changes.
template <FlagsOf kFlags>
void keep_flags(Emitter& emitter, const Xbyak::Reg& result) {
  if constexpr (kFlags == FlagsOf::Nothing) return;
  emitter.lose_host_flags();
  if (!emitter.flags_live()) return;
  Assembler& code = emitter.code();
  if constexpr (kFlags == FlagsOf::ResultAndCarry) code.setc(cl);
  code.test(result, result);
  emitter.keep_flags(Emitter::Kind::Logical);
  if constexpr (kFlags == FlagsOf::ResultAndCarry) {
    code.or_(ah, cl);
    emitter.lose_host_flags();
  }
}

// The register or memory operand: in the host's register, or reached. kAddress is in use then.
unsigned source(Emitter& emitter, unsigned i) {
  const Decoded& decoded = emitter.decoded();
  if (!decoded.is_memory(i)) {
    const unsigned guest = *general_register(decoded, i);
    return static_cast<unsigned>(emitter.read(guest, emitter.kAddress).getIdx());
  }
  emitter.reach_operand(bytes_of(decoded.width(i)), AccessKind::Read);
  return static_cast<unsigned>(emitter.kAddress.getIdx());
}
Xbyak::Reg64 register_of(unsigned number) { return Xbyak::Reg64(static_cast<int>(number)); }

// ---- With VEX: the guest's instruction written again

constexpr unsigned kRdx = 2;

template <FlagsOf kFlags>
void again(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  const bool multiplies = decoded.insn.mnemonic == ZYDIS_MNEMONIC_MULX;
  HostFields fields;
  fields.reg = decoded.insn.raw.modrm.reg;  // of the opcode, unless an operand is there
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i) {
    if (decoded.op(i).encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM) continue;
    fields.rm = source(emitter, i);
    fields.in_memory = decoded.is_memory(i);
  }
  // MULX has both halves of its product in registers, and a factor in RDX, which is kSecond.
  const auto is_written = [&](unsigned i) { return i == 0 || (i == 1 && multiplies); };
  if (multiplies) emitter.load(kRdx, emitter.kSecond);
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i) {
    if (decoded.op(i).encoding != ZYDIS_OPERAND_ENCODING_NDSNDD || is_written(i)) continue;
    const unsigned guest = *general_register(decoded, i);
    fields.vvvv = static_cast<unsigned>(emitter.read(guest, emitter.kSecond).getIdx());
  }
  const Xbyak::Reg64 first = emitter.place(*general_register(decoded, 0), emitter.kThird);
  fields.set(decoded.op(0).encoding, static_cast<unsigned>(first.getIdx()));
  Xbyak::Reg64 low;
  if (multiplies) {
    low = emitter.place(*general_register(decoded, 1), emitter.kSecond);
    fields.set(decoded.op(1).encoding, static_cast<unsigned>(low.getIdx()));
  }
  write_again(emitter.code(), decoded, fields);
  // If both halves go to one register, it has the upper one.
  if (multiplies) emitter.written(*general_register(decoded, 1), low);
  emitter.written(*general_register(decoded, 0), first);
  keep_flags<kFlags>(emitter, Emitter::sized(first, decoded.width(0)));
}

// ---- Without

enum class Count { LeadingZeros, TrailingZeros };

template <Count kCount>
void count(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned to = *general_register(decoded, 0);
  const Xbyak::Reg64 from = register_of(source(emitter, 1));
  // A word leaves the upper part of the register as it is.
  const Xbyak::Reg64 where = width == Width::Bits16 ? emitter.read(to, emitter.kSecond)
                                                    : emitter.place(to, emitter.kSecond);
  const Xbyak::Reg result = Emitter::sized(where, width);
  const auto write = [&](const Xbyak::Operand& operand) {
    if constexpr (kCount == Count::LeadingZeros) {
      code.lzcnt(result, operand);
    } else {
      code.tzcnt(result, operand);
    }
  };
  decoded.is_memory(1) ? write(Emitter::at(from, width)) : write(Emitter::sized(from, width));
  emitter.written(to, where);
  keep_flags<FlagsOf::ResultAndCarry>(emitter, result);
}

enum class Carry { InCf, InOf };

// A sum with a carry of its own; the other flags stay.
template <Carry kCarry>
void add(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const unsigned to = *general_register(decoded, 0);
  HostFields fields;
  fields.rm = source(emitter, 1);
  fields.in_memory = decoded.is_memory(1);
  const Xbyak::Reg64 where = emitter.read(to, emitter.kSecond);
  fields.reg = static_cast<unsigned>(where.getIdx());
  if constexpr (kCarry == Carry::InCf) {
    emitter.need_carry();
  } else {
    emitter.need_flags(condition::kOverflow);
  }
  write_again(code, decoded, fields);
  emitter.written(to, where);
  if constexpr (kCarry == Carry::InCf) {
    emitter.keep_carry();
  } else {
    emitter.lose_host_flags();
    if (!emitter.flags_live()) return;
    code.seto(cl);
    emitter.settle_aux();
    code.mov(al, cl);
  }
}

Emit of_mnemonic(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_PDEP:
    case ZYDIS_MNEMONIC_PEXT:
    case ZYDIS_MNEMONIC_SHLX:
    case ZYDIS_MNEMONIC_SHRX:
    case ZYDIS_MNEMONIC_SARX:
    case ZYDIS_MNEMONIC_RORX:
    case ZYDIS_MNEMONIC_MULX:
      return again<FlagsOf::Nothing>;
    case ZYDIS_MNEMONIC_ANDN:
    case ZYDIS_MNEMONIC_BEXTR:
      return again<FlagsOf::Result>;
    case ZYDIS_MNEMONIC_BZHI:
    case ZYDIS_MNEMONIC_BLSI:
    case ZYDIS_MNEMONIC_BLSMSK:
    case ZYDIS_MNEMONIC_BLSR:
      return again<FlagsOf::ResultAndCarry>;
    case ZYDIS_MNEMONIC_LZCNT:
      return count<Count::LeadingZeros>;
    case ZYDIS_MNEMONIC_TZCNT:
      return count<Count::TrailingZeros>;
    case ZYDIS_MNEMONIC_ADCX:
      return add<Carry::InCf>;
    case ZYDIS_MNEMONIC_ADOX:
      return add<Carry::InOf>;
    default:
      return nullptr;
  }
}

}  // namespace

Emit plan_bit_fields(const Decoded& decoded, const Insn& insn) {
  const Emit emit = of_mnemonic(decoded.insn.mnemonic);
  if (emit == nullptr || !host_has(decoded.insn.meta.isa_set)) return nullptr;
  for (unsigned i = 0; i < decoded.insn.operand_count_visible; ++i) {
    if (!general_register(decoded, i) && !decoded.is_immediate(i) &&
        !is_reachable(decoded, i, insn))
      return nullptr;
  }
  return emit;
}

}  // namespace ringside::soft
