// POPCNT CRC32.
#include "engine/soft/translate/emitter/host_features.h"
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

// The source operand, which is the second: reached, if it is in memory.
void with_source(Emitter& emitter, auto use) {
  const Decoded& decoded = emitter.decoded();
  const Width width = decoded.width(1);
  if (decoded.is_memory(1)) {
    emitter.reach_operand(bytes_of(width), AccessKind::Read);
    use(Emitter::at(emitter.kAddress, width));
  } else {
    const Xbyak::Reg64 source = emitter.read(*general_register(decoded, 1), emitter.kAddress);
    use(Emitter::sized(source, width));
  }
}

// ZF from the source, the other arithmetic flags clear.
void popcnt(Emitter& emitter) {
  const unsigned to = *general_register(emitter.decoded(), 0);
  const Width width = emitter.decoded().width(0);
  with_source(emitter, [&](const Xbyak::Operand& source) {
    // A word leaves the upper part of the register as it is.
    const Xbyak::Reg64 where = width == Width::Bits16 ? emitter.read(to, emitter.kSecond)
                                                      : emitter.place(to, emitter.kSecond);
    emitter.code().popcnt(Emitter::sized(where, width), source);
    emitter.written(to, where);
  });
  emitter.keep_flags(Emitter::Kind::Arithmetic);
}

void crc32(Emitter& emitter) {
  const unsigned to = *general_register(emitter.decoded(), 0);
  const bool wide = emitter.decoded().width(0) == Width::Bits64;
  with_source(emitter, [&](const Xbyak::Operand& source) {
    const Xbyak::Reg64 where = emitter.read(to, emitter.kSecond);
    if (wide) {
      emitter.code().crc32(where, source);
    } else {
      emitter.code().crc32(where.cvt32(), source);
    }
    emitter.written(to, where);
  });
}

}  // namespace

Emit plan_count(const Decoded& decoded, const Insn& insn) {
  const ZydisMnemonic mnemonic = decoded.insn.mnemonic;
  if (mnemonic != ZYDIS_MNEMONIC_POPCNT && mnemonic != ZYDIS_MNEMONIC_CRC32) return nullptr;
  if (!host_has(decoded.insn.meta.isa_set)) return nullptr;
  if (!general_register(decoded, 1) && !is_reachable(decoded, 1, insn)) return nullptr;
  return mnemonic == ZYDIS_MNEMONIC_POPCNT ? popcnt : crc32;
}

}  // namespace ringside::soft
