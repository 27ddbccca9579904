// What host code calls. Called with the guest's registers and flags in the Cpu; nothing is thrown
// through host code.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"

namespace ringside::soft::host_calls {

// Where in its block an instruction is, in one word.
constexpr std::uint32_t where(unsigned index, unsigned count, unsigned offset) {
  return index | count << 8 | offset << 16;
}

enum class Next : std::uint64_t { GoOn, Leave };

// Executes one instruction by its handler, with Cpu::icount, insn_rip and rip as the interpreter
// has them. Leave: the host code is to return to the run loop; the Cpu is exact then, as after (or,
// by a fault, before) the instruction.
Next in_block(Cpu& cpu, const Insn& insn, std::uint32_t place) noexcept;
// The block's last one: RIP stays as the handler leaves it.
Next last_in_block(Cpu& cpu, const Insn& insn, std::uint32_t place) noexcept;
// The instruction and all that follow it in the block, by their handlers.
Next rest_of_block(Cpu& cpu, const Insn& insn, std::uint32_t place) noexcept;

}  // namespace ringside::soft::host_calls
