#include "engine/soft/instructions/integer/integer.h"

namespace ringside::soft {

void register_integer(LowerTable& table) {
  register_arithmetic(table);
  register_exchange(table);
  register_moves(table);
  register_stack(table);
  register_shifts(table);
  register_bits(table);
  register_multiply(table);
  register_bit_fields(table);
  register_decimal(table);
  register_misc(table);
}

}  // namespace ringside::soft
