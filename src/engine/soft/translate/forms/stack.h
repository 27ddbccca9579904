// The guest's stack in 64-bit mode, for the families that push and pop.
#pragma once

#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {

inline constexpr unsigned kStackPointer = 4;
static_assert(kHostRegister[kStackPointer] >= 0, "RSP is in a host register");

// Emitter::kAddress = the host address of the word at RSP + delta.
inline void reach_stack(Emitter& emitter, int delta, AccessKind kind) {
  const Xbyak::Reg64 stack(kHostRegister[kStackPointer]);
  emitter.code().lea(emitter.kAddress, Xbyak::util::ptr[stack + delta]);
  emitter.reach(8, kind);
}
// The host's flags stay.
inline void move_stack(Emitter& emitter, int delta) {
  const Xbyak::Reg64 stack(kHostRegister[kStackPointer]);
  emitter.code().lea(stack, Xbyak::util::ptr[stack + delta]);
}

}  // namespace ringside::soft
