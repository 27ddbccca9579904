// Helpers that the integer, branch and string families share: choosing a handler by operand width
// and lowering the common operand forms. Cold code; the handlers it picks are templates over the
// type.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/decode/lower.h"

namespace ringside::soft {

// choose(T{}) gives the handler for operands of type T; T is an unsigned integer.
template <typename Choose>
Handler by_width(Width width, Choose choose) {
  switch (width) {
    case Width::Bits8:
      return choose(std::uint8_t{});
    case Width::Bits16:
      return choose(std::uint16_t{});
    case Width::Bits32:
      return choose(std::uint32_t{});
    default:
      return choose(std::uint64_t{});
  }
}
// Without the byte form.
template <typename Choose>
Handler by_word_width(Width width, Choose choose) {
  switch (width) {
    case Width::Bits16:
      return choose(std::uint16_t{});
    case Width::Bits32:
      return choose(std::uint32_t{});
    default:
      return choose(std::uint64_t{});
  }
}

// Operand 0 into rm (register) or the memory fields; operand 1, if a register, into reg.
inline void lower_destination(const Decoded& decoded, Insn& insn) {
  if (decoded.is_memory(0)) {
    lower_memory(decoded, 0, insn);
  } else {
    insn.rm = decoded.reg(0);
  }
}
// Operand 0 is a register and goes into reg; operand 1 into rm or the memory fields.
inline void lower_load_form(const Decoded& decoded, Insn& insn) {
  insn.reg = decoded.reg(0);
  if (decoded.is_memory(1)) {
    lower_memory(decoded, 1, insn);
  } else {
    insn.rm = decoded.reg(1);
  }
}

// For instructions without operands of their own.
template <Handler kHandler>
bool lower_plain(const Decoded&, Insn& insn) {
  insn.execute = kHandler;
  return true;
}

template <typename T>
T load_operand(Cpu& cpu, const Insn& insn) {
  return cpu.load<T>(cpu.linear(insn, sizeof(T), AccessKind::Read));
}
template <typename T>
void store_operand(Cpu& cpu, const Insn& insn, T value) {
  cpu.store<T>(cpu.linear(insn, sizeof(T), AccessKind::Write), value);
}
template <typename T, typename Function>
void modify_operand(Cpu& cpu, const Insn& insn, Function function) {
  cpu.modify<T>(cpu.linear(insn, sizeof(T), AccessKind::Write), function);
}
// The register or memory operand in the rm position, by a template parameter of the handler.
template <typename T, bool kMemory>
T read_rm(Cpu& cpu, const Insn& insn) {
  if constexpr (kMemory) {
    return load_operand<T>(cpu, insn);
  } else {
    return cpu.get<T>(insn.rm);
  }
}
// Replaces the operand by function(operand), which may set flags.
template <typename T, bool kMemory, typename Function>
void update_rm(Cpu& cpu, const Insn& insn, Function function) {
  if constexpr (kMemory) {
    modify_operand<T>(cpu, insn, function);
  } else {
    cpu.set<T>(insn.rm, function(cpu.get<T>(insn.rm)));
  }
}

// Chooses between the register and the memory form of operand `rm` as well: choose(T{}, bool) where
// the second is std::true_type for memory.
template <typename Choose>
Handler by_width_and_form(Width width, bool memory, Choose choose) {
  return memory ? by_width(width, [&](auto t) { return choose(t, std::true_type{}); })
                : by_width(width, [&](auto t) { return choose(t, std::false_type{}); });
}
template <typename Choose>
Handler by_word_width_and_form(Width width, bool memory, Choose choose) {
  return memory ? by_word_width(width, [&](auto t) { return choose(t, std::true_type{}); })
                : by_word_width(width, [&](auto t) { return choose(t, std::false_type{}); });
}
// choose(std::integral_constant<unsigned, N>{}) for the condition N, 0 to 15.
template <typename Choose, unsigned kFirst = 0>
Handler by_condition(unsigned condition, Choose choose) {
  if constexpr (kFirst == 15) {
    return choose(std::integral_constant<unsigned, 15>{});
  } else {
    if (condition == kFirst) return choose(std::integral_constant<unsigned, kFirst>{});
    return by_condition<Choose, kFirst + 1>(condition, choose);
  }
}

inline std::uint8_t gpr_number(x86::Gpr name) { return static_cast<std::uint8_t>(name); }

// The parts of register_integer, one per file.
void register_arithmetic(LowerTable& table);  // integer_arithmetic.cc
void register_exchange(LowerTable& table);    // integer_exchange.cc: xchg, xadd, cmpxchg
void register_moves(LowerTable& table);       // integer_move.cc
void register_stack(LowerTable& table);       // integer_stack.cc
void register_shifts(LowerTable& table);      // integer_shift.cc
void register_bits(LowerTable& table);        // integer_bits.cc
void register_multiply(LowerTable& table);    // integer_multiply.cc
void register_bit_fields(LowerTable& table);  // integer_bit_fields.cc: BMI, LZCNT, ADX
void register_decimal(LowerTable& table);     // integer_decimal.cc
void register_misc(LowerTable& table);        // integer_misc.cc: flags, nops, bound, xlat

// What decode() is to know of this room: near jumps, calls, returns and loops; movs, stos, lods,
// scas, cmps, ins, outs with REP; and all else.
void register_integer(LowerTable& table);
void register_branches(LowerTable& table);
void register_strings(LowerTable& table);

}  // namespace ringside::soft
