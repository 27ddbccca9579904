// PUSH POP LEAVE. 64 bits wide; a stack operation is one access, and RSP changes after it.
#include "engine/soft/translate/forms/stack.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ptr, Xbyak::util::qword;

void push_register(Emitter& emitter) {
  reach_stack(emitter, -8, AccessKind::Write);
  const Xbyak::Reg64 value = emitter.read(*general_register(emitter.decoded(), 0), emitter.kSecond);
  emitter.code().mov(ptr[emitter.kAddress], value);
  move_stack(emitter, -8);
}
void push_immediate(Emitter& emitter) {
  reach_stack(emitter, -8, AccessKind::Write);
  emitter.code().mov(qword[emitter.kAddress],
                     extended(immediate_of(emitter.insn(), Width::Bits64)));
  move_stack(emitter, -8);
}
void push_memory(Emitter& emitter) {
  emitter.reach_operand(8, AccessKind::Read);
  emitter.code().mov(emitter.kSecond, ptr[emitter.kAddress]);
  emitter.code().mov(Emitter::field(emitter.offsets().target), emitter.kSecond);
  reach_stack(emitter, -8, AccessKind::Write);
  emitter.code().mov(emitter.kSecond, Emitter::field(emitter.offsets().target));
  emitter.code().mov(ptr[emitter.kAddress], emitter.kSecond);
  move_stack(emitter, -8);
}
void pop_register(Emitter& emitter) {
  const unsigned to = *general_register(emitter.decoded(), 0);
  reach_stack(emitter, 0, AccessKind::Read);
  move_stack(emitter, 8);  // first: POP RSP keeps the value popped
  const Xbyak::Reg64 where = emitter.place(to, emitter.kSecond);
  emitter.code().mov(where, ptr[emitter.kAddress]);
  emitter.written(to, where);
}
void leave(Emitter& emitter) {
  constexpr unsigned kRbp = 5;
  emitter.load(kRbp, emitter.kAddress);
  emitter.reach(8, AccessKind::Read);
  const Xbyak::Reg64 old = emitter.read(kRbp, emitter.kThird);
  emitter.code().lea(Xbyak::Reg64(kHostRegister[kStackPointer]), ptr[old + 8]);
  const Xbyak::Reg64 where = emitter.place(kRbp, emitter.kSecond);
  emitter.code().mov(where, ptr[emitter.kAddress]);
  emitter.written(kRbp, where);
}

}  // namespace

Emit plan_stack(const Decoded& decoded, const Insn& insn) {
  if (insn.operand_width != Width::Bits64) return nullptr;
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
      if (general_register(decoded, 0)) return push_register;
      if (decoded.is_immediate(0)) return push_immediate;
      return is_reachable(decoded, 0, insn) ? push_memory : nullptr;
    case ZYDIS_MNEMONIC_POP:
      return general_register(decoded, 0) ? pop_register : nullptr;
    case ZYDIS_MNEMONIC_LEAVE:
      return leave;
    default:
      return nullptr;
  }
}

}  // namespace ringside::soft
