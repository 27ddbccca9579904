// What the families of vector instructions share: most of them are written again as they are, with
// the host's registers in their places. The guest's vector registers have the same numbers there.
#pragma once

#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {

inline bool has_vex(const Decoded& decoded) {
  return decoded.insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
}
// The mnemonic, or with VEX the one without the V before it: ZYDIS_MNEMONIC_INVALID if there is
// none. The families list those, and most with VEX go the same way.
ZydisMnemonic legacy_mnemonic(const Decoded& decoded);

inline bool is_of(ZydisRegisterClass wanted, const Decoded& decoded, unsigned i) {
  return decoded.is_register(i) && ZydisRegisterGetClass(decoded.op(i).reg.value) == wanted;
}
inline bool is_vector(const Decoded& decoded, unsigned i) {
  return is_of(ZYDIS_REGCLASS_XMM, decoded, i) || is_of(ZYDIS_REGCLASS_YMM, decoded, i);
}
// Of a vector register.
inline Extent extent_of(const Decoded& decoded, unsigned i) {
  return is_of(ZYDIS_REGCLASS_YMM, decoded, i) ? Extent::Whole : Extent::Low;
}

enum class Destination : std::uint8_t { Whole, Part };  // of an XMM register is new

// Writes the instruction again. Null where an operand or the host does not allow it. With VEX all
// of the destination is new, unless it is a source as well: `destination` says nothing then.
Emit plan_again(const Decoded& decoded, const Insn& insn, Destination destination);

// The memory operand, which is `bytes` long: kAddress = its host address. The handler does it where
// that must be aligned, and is not.
enum class Alignment : std::uint8_t { Required, None };
void reach_vector(Emitter& emitter, unsigned bytes, AccessKind kind, Alignment alignment);

// The families' parts of plan_vector.
VectorPlan plan_vector_move(const Decoded& decoded, const Insn& insn);
VectorPlan plan_vector_integer(const Decoded& decoded, const Insn& insn);
VectorPlan plan_vector_shuffle(const Decoded& decoded, const Insn& insn);
VectorPlan plan_vector_float(const Decoded& decoded, const Insn& insn);
// Only of what has VEX.
VectorPlan plan_vex(const Decoded& decoded, const Insn& insn);

}  // namespace ringside::soft
