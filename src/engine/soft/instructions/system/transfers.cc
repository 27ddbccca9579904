#include "engine/soft/instructions/system/transfers.h"

#include "engine/soft/cpu/cpu.h"

namespace ringside::soft {

std::uint64_t peek(Cpu& cpu, Width width, std::uint64_t skip) {
  switch (width) {
    case Width::Bits16:
      return cpu.peek<std::uint16_t>(skip);
    case Width::Bits32:
      return cpu.peek<std::uint32_t>(skip);
    default:
      return cpu.peek<std::uint64_t>(skip);
  }
}

void register_transfers(LowerTable& table) {
  register_far(table);
  register_interrupts(table);
  register_fast_calls(table);
  register_segment_moves(table);
}

}  // namespace ringside::soft
