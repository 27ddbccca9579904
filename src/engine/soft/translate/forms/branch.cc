// Near JMP, Jcc, CALL and RET in 64-bit mode. The target is checked before anything changes.
#include "engine/soft/translate/forms/stack.h"

namespace ringside::soft {
namespace {

using Xbyak::util::ptr;

std::int64_t target_of(Emitter& emitter) {
  return static_cast<std::int64_t>(emitter.next_offset()) +
         static_cast<std::int64_t>(emitter.insn().immediate);
}

void jump(Emitter& emitter) { emitter.leave_to_checked(target_of(emitter)); }

void jump_if(Emitter& emitter) {
  const unsigned condition = condition_of(emitter.decoded());
  emitter.need_flags(condition);
  const std::size_t taken = emitter.code().jump_if(condition);
  emitter.leave_to(emitter.next_offset());
  emitter.code().set_destination(taken, emitter.code().position());
  emitter.leave_to_checked(target_of(emitter));
}

// kAddress = the operand of an indirect jump or call.
void load_target(Emitter& emitter) {
  const auto from = general_register(emitter.decoded(), 0);
  if (from) {
    emitter.load(*from, emitter.kAddress);
  } else {
    emitter.reach_operand(8, AccessKind::Read);
    emitter.code().mov(emitter.kAddress, ptr[emitter.kAddress]);
  }
  emitter.check_canonical();
}

void jump_indirect(Emitter& emitter) {
  load_target(emitter);
  emitter.leave_to_address();
}

void push_return_address(Emitter& emitter) {
  Assembler& code = emitter.code();
  reach_stack(emitter, -8, AccessKind::Write);
  code.mov(emitter.kSecond, emitter.rip());
  code.add(emitter.kSecond, static_cast<int>(emitter.next_offset()));
  code.mov(ptr[emitter.kAddress], emitter.kSecond);
  move_stack(emitter, -8);
}

void call(Emitter& emitter) {
  const std::int64_t target = target_of(emitter);
  if (!emitter.is_in_page(target)) {
    emitter.code().mov(emitter.kAddress, emitter.rip());
    emitter.code().add(emitter.kAddress, static_cast<int>(target));
    emitter.check_canonical();
  }
  push_return_address(emitter);
  emitter.leave_to(target);
}
void call_indirect(Emitter& emitter) {
  load_target(emitter);
  emitter.code().mov(Emitter::field(emitter.offsets().target), emitter.kAddress);
  push_return_address(emitter);
  emitter.code().mov(emitter.kAddress, Emitter::field(emitter.offsets().target));
  emitter.leave_to_address();
}

void ret(Emitter& emitter) {
  reach_stack(emitter, 0, AccessKind::Read);
  emitter.code().mov(emitter.kAddress, ptr[emitter.kAddress]);
  emitter.check_canonical();
  move_stack(emitter, 8 + static_cast<int>(emitter.insn().immediate));
  emitter.leave_to_address();
}

// Relative to the block's first byte it still fits in 32 bits.
bool is_near(const Insn& insn) {
  constexpr std::int64_t kMost = (std::int64_t{1} << 31) - 4096;
  const auto distance = static_cast<std::int64_t>(insn.immediate);
  return distance < kMost && distance > -kMost;
}

}  // namespace

Emit plan_branch(const Decoded& decoded, const Insn& insn) {
  if (decoded.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return nullptr;
  const bool direct = decoded.is_immediate(0);
  if (direct && !is_near(insn)) return nullptr;
  const bool indirect = general_register(decoded, 0) || is_reachable(decoded, 0, insn);
  switch (decoded.insn.mnemonic) {
    case ZYDIS_MNEMONIC_JMP:
      return direct ? jump : indirect ? jump_indirect : nullptr;
    case ZYDIS_MNEMONIC_CALL:
      return direct ? call : indirect ? call_indirect : nullptr;
    case ZYDIS_MNEMONIC_RET:
      return ret;
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
      return nullptr;
    default:
      return decoded.insn.meta.category == ZYDIS_CATEGORY_COND_BR ? jump_if : nullptr;
  }
}

}  // namespace ringside::soft
