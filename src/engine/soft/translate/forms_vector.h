// What the families of vector instructions share: most of them are written again as they are, with
// the host's registers in their places. The guest's XMM registers have the same numbers there.
#pragma once

#include "engine/soft/translate/forms.h"

namespace ringside::soft {

enum class Destination : std::uint8_t { Whole, Part };  // of an XMM register is new

// Writes the instruction again. Null where an operand or the host does not allow it.
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

}  // namespace ringside::soft
