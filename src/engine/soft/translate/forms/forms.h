// The instruction forms that are written as host code, by families. What is not among them is done
// by its handler.
#pragma once

#include <optional>

#include "engine/soft/translate/emitter/emitter.h"

namespace ringside::soft {

// How to write this form, or null.
Emit plan_form(const Decoded& decoded, const Insn& insn);

// The families' parts of it: null for what is not theirs.
Emit plan_arithmetic(const Decoded& decoded, const Insn& insn);
Emit plan_move(const Decoded& decoded, const Insn& insn);
Emit plan_shift(const Decoded& decoded, const Insn& insn);
Emit plan_stack(const Decoded& decoded, const Insn& insn);
Emit plan_branch(const Decoded& decoded, const Insn& insn);
Emit plan_bits(const Decoded& decoded, const Insn& insn);
Emit plan_multiply(const Decoded& decoded, const Insn& insn);
Emit plan_exchange(const Decoded& decoded, const Insn& insn);
Emit plan_high_byte(const Decoded& decoded, const Insn& insn);
Emit plan_count(const Decoded& decoded, const Insn& insn);
Emit plan_bit_fields(const Decoded& decoded, const Insn& insn);

// The forms that use vector registers, and what they need for that.
struct VectorPlan {
  Emit emit = nullptr;
  VectorUse use = vector_use::kNone;
};
VectorPlan plan_vector(const Decoded& decoded, const Insn& insn);
// Decides where in a block that is asked for. Handlers may change what arithmetic needs; but only
// the last one of a block makes the vector unit unavailable, unless it is XSETBV's.
void plan_vector_checks(std::vector<Form>& forms);

// The number of operand i if it is a whole general register or its low part.
inline std::optional<unsigned> general_register(const Decoded& decoded, unsigned i) {
  if (!decoded.is_register(i) || !is_general(decoded.op(i).reg.value)) return std::nullopt;
  if (decoded.width(i) != Width::Bits8) return decoded.reg(i);
  if (decoded.reg(i) % 8 != 0) return std::nullopt;  // AH, CH, DH, BH
  return decoded.reg(i) / 8;
}

// IMUL: of two or three operands, or of one.
inline bool has_one_operand(const Decoded& decoded) {
  return decoded.insn.operand_count_visible < 2 ||
         decoded.op(1).visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
}

// Operand i is in memory at an address that Emitter::linear_address can make.
inline bool is_reachable(const Decoded& decoded, unsigned i, const Insn& insn) {
  return decoded.is_memory(i) && insn.segment >= segment_use::kFlat &&
         insn.address_width == Width::Bits64 && decoded.insn.raw.disp.size != 64;
}

// The 4-bit condition of Jcc, CMOVcc and SETcc, as the instruction's own encoding has it.
inline unsigned condition_of(const Decoded& decoded) { return decoded.insn.opcode & 15u; }

constexpr unsigned bytes_of(Width width) { return 1u << static_cast<unsigned>(width); }

// The immediate as the host's instruction of this width wants it.
inline std::uint32_t immediate_of(const Insn& insn, Width width) {
  switch (width) {
    case Width::Bits8:
      return static_cast<std::uint32_t>(static_cast<std::int8_t>(insn.immediate));
    case Width::Bits16:
      return static_cast<std::uint32_t>(static_cast<std::int16_t>(insn.immediate));
    default:
      return static_cast<std::uint32_t>(insn.immediate);
  }
}
// For MOV, which takes all of it.
constexpr std::uint64_t extended(std::uint32_t immediate) {
  return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(immediate)});
}

}  // namespace ringside::soft
