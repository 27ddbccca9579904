// XADD, CMPXCHG and XCHG with memory. LOCK needs nothing: the CPUs take turns between instructions.
#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {
namespace {

using Xbyak::util::rax;

void xadd(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned number = *general_register(decoded, 1);
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  const Xbyak::Reg64 addend = emitter.read(number, emitter.kThird);
  code.mov(emitter.kSecond, addend);
  code.xadd(Emitter::at(emitter.kAddress, width), Emitter::sized(emitter.kSecond, width));
  code.mov(Emitter::sized(addend, width), Emitter::sized(emitter.kSecond, width));
  emitter.written(number, addend);
  emitter.keep_flags(Emitter::Kind::Arithmetic);
}

// The host's instruction compares with RAX, which has the flags: but these are new in any case. It
// leaves RAX alone, or changes as much of it as the guest's is to change.
void cmpxchg(Emitter& emitter) {
  constexpr unsigned kRax = 0;
  static_assert(kHostRegister[kRax] >= 0);
  const Xbyak::Reg64 accumulator(kHostRegister[kRax]);
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  const Xbyak::Reg64 replacement = emitter.read(*general_register(decoded, 1), emitter.kSecond);
  code.mov(rax, accumulator);
  code.cmpxchg(Emitter::at(emitter.kAddress, width), Emitter::sized(replacement, width));
  code.mov(accumulator, rax);
  emitter.keep_flags(Emitter::Kind::Arithmetic);
}

void xchg(Emitter& emitter) {
  const Decoded& decoded = emitter.decoded();
  Assembler& code = emitter.code();
  const Width width = decoded.width(0);
  const unsigned number = *general_register(decoded, decoded.is_memory(1) ? 0 : 1);
  emitter.reach_operand(bytes_of(width), AccessKind::Write);
  const Xbyak::Reg64 value = emitter.read(number, emitter.kThird);
  code.mov(Emitter::sized(emitter.kSecond, width), Emitter::at(emitter.kAddress, width));
  code.mov(Emitter::at(emitter.kAddress, width), Emitter::sized(value, width));
  code.mov(Emitter::sized(value, width), Emitter::sized(emitter.kSecond, width));
  emitter.written(number, value);
}

}  // namespace

Emit plan_exchange(const Decoded& decoded, const Insn& insn) {
  const bool to_memory = is_reachable(decoded, 0, insn) && general_register(decoded, 1);
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_XADD:
      return to_memory ? xadd : nullptr;
    case ZYDIS_MNEMONIC_CMPXCHG:
      return to_memory ? cmpxchg : nullptr;
    case ZYDIS_MNEMONIC_XCHG: {
      const bool from_memory = is_reachable(decoded, 1, insn) && general_register(decoded, 0);
      return to_memory || from_memory ? xchg : nullptr;
    }
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft
