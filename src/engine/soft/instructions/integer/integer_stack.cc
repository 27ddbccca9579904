// PUSH POP (general registers, memory, immediates) PUSHA POPA ENTER LEAVE. Segment registers are
// the transfers' family.
#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {
namespace {

constexpr std::uint8_t kRsp = 4, kRbp = 5;

template <typename T>
void push_r(Cpu& cpu, const Insn& insn) {
  cpu.push<T>(cpu.get<T>(insn.rm));
}
template <typename T>
void push_i(Cpu& cpu, const Insn& insn) {
  cpu.push<T>(static_cast<T>(insn.immediate));
}
template <typename T>
void push_m(Cpu& cpu, const Insn& insn) {
  cpu.push<T>(load_operand<T>(cpu, insn));
}
template <typename T>
void pop_r(Cpu& cpu, const Insn& insn) {
  const T value = cpu.pop<T>();
  cpu.set<T>(insn.rm, value);  // after the pointer moved: POP RSP keeps the value popped
}
// An address that uses RSP sees it already moved (SDM 2B POP), a fault sees it where it was.
template <typename T>
void pop_m(Cpu& cpu, const Insn& insn) {
  const T value = cpu.peek<T>();
  const std::uint64_t moved =
      (cpu.rsp() & ~cpu.stack_mask()) | ((cpu.rsp() + sizeof(T)) & cpu.stack_mask());
  std::uint64_t offset = cpu.effective_offset(insn);
  if (insn.base == kRsp) {
    offset =
        (offset + moved - cpu.rsp()) & Cpu::kWidthMask[static_cast<unsigned>(insn.address_width)];
  }
  cpu.store<T>(cpu.segmented(insn.segment, offset, sizeof(T), AccessKind::Write), value);
  cpu.set_rsp(moved);
}

bool is_general_or_memory(const ZydisDecodedOperand& operand) {
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) return true;
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         ZydisRegisterGetClass(operand.reg.value) != ZYDIS_REGCLASS_SEGMENT;
}

bool lower_push(const Decoded& decoded, Insn& insn) {
  const Width width = insn.operand_width;
  if (decoded.is_immediate(0)) {
    if (decoded.insn.raw.imm[0].size == 8) {
      insn.immediate =
          static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(insn.immediate)});
    }
    insn.execute = by_word_width(width, [](auto t) -> Handler { return push_i<decltype(t)>; });
    return true;
  }
  if (!is_general_or_memory(decoded.op(0))) return false;
  lower_destination(decoded, insn);
  insn.execute = decoded.is_memory(0)
                     ? by_word_width(width, [](auto t) -> Handler { return push_m<decltype(t)>; })
                     : by_word_width(width, [](auto t) -> Handler { return push_r<decltype(t)>; });
  return true;
}

bool lower_pop(const Decoded& decoded, Insn& insn) {
  if (!is_general_or_memory(decoded.op(0))) return false;
  const Width width = insn.operand_width;
  lower_destination(decoded, insn);
  insn.execute = decoded.is_memory(0)
                     ? by_word_width(width, [](auto t) -> Handler { return pop_m<decltype(t)>; })
                     : by_word_width(width, [](auto t) -> Handler { return pop_r<decltype(t)>; });
  return true;
}

template <typename T>
void pusha(Cpu& cpu, const Insn&) {
  std::uint64_t top = cpu.rsp();
  for (std::uint8_t reg = 0; reg < 8; ++reg) {
    top -= sizeof(T);
    cpu.store<T>(cpu.stack_linear(top, sizeof(T), AccessKind::Write), cpu.get<T>(reg));
  }
  cpu.set_rsp(top);
}

template <typename T>
void popa(Cpu& cpu, const Insn&) {
  std::array<T, 8> values;
  for (unsigned i = 0; i < 8; ++i)
    values[i] = cpu.peek<T>(i * sizeof(T));
  for (std::uint8_t i = 0; i < 8; ++i) {
    if (7 - i != kRsp) cpu.set<T>(static_cast<std::uint8_t>(7 - i), values[i]);
  }
  cpu.set_rsp(cpu.rsp() + 8 * sizeof(T));
}

// SDM 2A ENTER: the frame pointer, copies of the outer frames' pointers, room for locals. Nothing
// in the registers changes until the last write is known to be possible.
template <typename T>
void enter(Cpu& cpu, const Insn& insn) {
  const auto room = static_cast<std::uint16_t>(insn.immediate);
  const unsigned level = insn.extra;
  std::uint64_t top = cpu.rsp();
  const auto push = [&](T value) {
    top -= sizeof(T);
    cpu.store<T>(cpu.stack_linear(top, sizeof(T), AccessKind::Write), value);
  };
  push(cpu.get<T>(kRbp));
  const std::uint64_t frame = top;
  if (level > 0) {
    std::uint64_t outer = cpu.gpr[kRbp];
    for (unsigned i = 1; i < level; ++i) {
      outer -= sizeof(T);
      push(cpu.load<T>(cpu.stack_linear(outer, sizeof(T), AccessKind::Read)));
    }
    push(static_cast<T>(frame));
  }
  top -= room;
  cpu.check_write(cpu.stack_linear(top, sizeof(T), AccessKind::Write), sizeof(T));
  cpu.set<T>(kRbp, static_cast<T>(frame));
  cpu.set_rsp(top);
}

template <typename T>
void leave(Cpu& cpu, const Insn&) {
  const std::uint64_t frame = cpu.gpr[kRbp];
  const T outer = cpu.load<T>(cpu.stack_linear(frame, sizeof(T), AccessKind::Read));
  cpu.set_rsp(frame + sizeof(T));
  cpu.set<T>(kRbp, outer);
}

bool lower_enter(const Decoded& decoded, Insn& insn) {
  insn.immediate = decoded.op(0).imm.value.u;
  insn.extra = static_cast<std::uint8_t>(decoded.op(1).imm.value.u & 31);
  insn.execute =
      by_word_width(insn.operand_width, [](auto t) -> Handler { return enter<decltype(t)>; });
  return true;
}

bool lower_leave(const Decoded&, Insn& insn) {
  insn.execute =
      by_word_width(insn.operand_width, [](auto t) -> Handler { return leave<decltype(t)>; });
  return true;
}

}  // namespace

void register_stack(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_PUSH, lower_push);
  table.add(ZYDIS_MNEMONIC_POP, lower_pop);
  table.add(ZYDIS_MNEMONIC_PUSHA, lower_plain<pusha<std::uint16_t>>);
  table.add(ZYDIS_MNEMONIC_PUSHAD, lower_plain<pusha<std::uint32_t>>);
  table.add(ZYDIS_MNEMONIC_POPA, lower_plain<popa<std::uint16_t>>);
  table.add(ZYDIS_MNEMONIC_POPAD, lower_plain<popa<std::uint32_t>>);
  table.add(ZYDIS_MNEMONIC_ENTER, lower_enter);
  table.add(ZYDIS_MNEMONIC_LEAVE, lower_leave);
}

}  // namespace ringside::soft
