#include "engine/soft/loaded_state.h"

#include "engine/soft/state/x87_words.h"

namespace ringside::soft {

bool can_be(const Cpu& cpu) {
  // Sums of all CPUs' counts, and what is added to them, stay far from the end of 64 bits.
  constexpr std::uint64_t kMostCount = std::uint64_t{1} << 55, kMostLines = std::uint64_t{1} << 48;
  constexpr std::uint32_t kMxcsrBits = 0xffff;  // the others would fault when the host loads them
  constexpr unsigned kLongestInsn = 15;
  return cpu.gpr[Cpu::kNoRegister] == 0 && cpu.icount < kMostCount &&
         cpu.interrupt_shadow_until <= cpu.icount + 2 && cpu.debug_shadow_until <= cpu.icount + 2 &&
         cpu.string_lines < kMostLines && cpu.cpl() <= 3 && cpu.activity <= Activity::Asleep &&
         (cpu.fpu.mxcsr & ~kMxcsrBits) == 0 &&
         x87::control_word(cpu.fpu.control) == cpu.fpu.control &&
         cpu.entry_insn_length <= kLongestInsn;
}

}  // namespace ringside::soft
