// MOV, PUSH and POP of segment registers, LDS LES LSS LFS LGS (SDM 2A/2B, 3A 6.8.3 for the shadow).
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/segments.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/transfers.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using x86::SegmentName;

void load_and_shadow(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  load_segment(cpu, name, selector);
  if (name == SegmentName::Ss) cpu.shadow_after_stack_load();
}

template <bool kMemory>
void mov_to_segment(Cpu& cpu, const Insn& insn) {
  const auto name = static_cast<SegmentName>(insn.extra);
  load_and_shadow(cpu, name, read_rm<std::uint16_t, kMemory>(cpu, insn));
}

void mov_from_segment_m(Cpu& cpu, const Insn& insn) {
  store_operand<std::uint16_t>(cpu, insn, cpu.segment[insn.extra].selector);
}
template <typename T>
void mov_from_segment_r(Cpu& cpu, const Insn& insn) {
  cpu.set<T>(insn.rm, cpu.segment[insn.extra].selector);
}

// With a 32-bit operand only two bytes are written (SDM 2B, PUSH).
template <typename T>
void push_segment(Cpu& cpu, const Insn& insn) {
  const std::uint16_t selector = cpu.segment[insn.extra].selector;
  if constexpr (sizeof(T) == 4) {
    const std::uint64_t top = cpu.rsp() - sizeof(T);
    cpu.store<std::uint16_t>(cpu.stack_linear(top, sizeof(T), AccessKind::Write), selector);
    cpu.set_rsp(top);
  } else {
    cpu.push<T>(selector);
  }
}

// The pointer moves by the width of the stack before SS changes.
template <typename T>
void pop_segment(Cpu& cpu, const Insn& insn) {
  const auto selector = static_cast<std::uint16_t>(cpu.peek<T>());
  const std::uint64_t mask = cpu.stack_mask();
  const std::uint64_t moved = (cpu.rsp() & ~mask) | ((cpu.rsp() + sizeof(T)) & mask);
  load_and_shadow(cpu, static_cast<SegmentName>(insn.extra), selector);
  cpu.reg(x86::Gpr::Rsp) = moved;
}

template <typename T>
void load_far_pointer(Cpu& cpu, const Insn& insn) {
  const std::uint64_t at = cpu.linear(insn, sizeof(T) + 2, AccessKind::Read);
  const auto offset = cpu.load<T>(at);
  const auto selector = cpu.load<std::uint16_t>(at + sizeof(T));
  load_segment(cpu, static_cast<SegmentName>(insn.extra), selector);
  cpu.set<T>(insn.reg, offset);
}

bool is_segment(const Decoded& decoded, unsigned i) {
  return decoded.is_register(i) &&
         ZydisRegisterGetClass(decoded.op(i).reg.value) == ZYDIS_REGCLASS_SEGMENT;
}
std::uint8_t segment_number(const Decoded& decoded, unsigned i) {
  return static_cast<std::uint8_t>(ZydisRegisterGetId(decoded.op(i).reg.value));
}

bool lower_mov(const Decoded& decoded, Insn& insn) {
  if (is_segment(decoded, 0)) {
    insn.extra = segment_number(decoded, 0);
    if (decoded.is_memory(1)) {
      lower_memory(decoded, 1, insn);
      insn.execute = mov_to_segment<true>;
    } else {
      insn.rm = decoded.reg(1);
      insn.execute = mov_to_segment<false>;
    }
    return true;
  }
  if (!is_segment(decoded, 1)) return false;
  insn.extra = segment_number(decoded, 1);
  lower_destination(decoded, insn);
  insn.execute = decoded.is_memory(0) ? mov_from_segment_m
                                      : by_word_width(decoded.width(0), [](auto t) -> Handler {
                                          return mov_from_segment_r<decltype(t)>;
                                        });
  return true;
}

bool lower_push(const Decoded& decoded, Insn& insn) {
  if (!is_segment(decoded, 0)) return false;
  insn.extra = segment_number(decoded, 0);
  insn.execute = by_word_width(insn.operand_width,
                               [](auto t) -> Handler { return push_segment<decltype(t)>; });
  return true;
}

bool lower_pop(const Decoded& decoded, Insn& insn) {
  if (!is_segment(decoded, 0)) return false;
  insn.extra = segment_number(decoded, 0);
  insn.execute =
      by_word_width(insn.operand_width, [](auto t) -> Handler { return pop_segment<decltype(t)>; });
  return true;
}

template <SegmentName kName>
bool lower_far_load(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.extra = static_cast<std::uint8_t>(kName);
  insn.execute = by_word_width(insn.operand_width,
                               [](auto t) -> Handler { return load_far_pointer<decltype(t)>; });
  return true;
}

}  // namespace

void register_segment_moves(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_MOV, lower_mov);
  table.add(ZYDIS_MNEMONIC_PUSH, lower_push);
  table.add(ZYDIS_MNEMONIC_POP, lower_pop);
  table.add(ZYDIS_MNEMONIC_LDS, lower_far_load<SegmentName::Ds>);
  table.add(ZYDIS_MNEMONIC_LES, lower_far_load<SegmentName::Es>);
  table.add(ZYDIS_MNEMONIC_LSS, lower_far_load<SegmentName::Ss>);
  table.add(ZYDIS_MNEMONIC_LFS, lower_far_load<SegmentName::Fs>);
  table.add(ZYDIS_MNEMONIC_LGS, lower_far_load<SegmentName::Gs>);
}

}  // namespace ringside::soft
