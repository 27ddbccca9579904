#include "engine/soft/translate/forms/forms.h"

namespace ringside::soft {

Emit plan_form(const Decoded& decoded, const Insn& insn) {
  for (const Plan family :
       {plan_move, plan_arithmetic, plan_branch, plan_stack, plan_shift, plan_bits, plan_multiply,
        plan_exchange, plan_high_byte, plan_count, plan_bit_fields}) {
    if (const Emit emit = family(decoded, insn)) return emit;
  }
  return nullptr;
}

}  // namespace ringside::soft
