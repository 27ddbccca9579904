// What happens where one instruction ends: hits that are settled then, or the instruction undone.
// On the thread that runs the CPU.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"
#include "x86/linear_address.h"

namespace ringside::soft {

inline std::uint64_t instruction_pointer(const Cpu& cpu) {
  return cpu.rip() &
         Cpu::kWidthMask[static_cast<unsigned>(cpu.code64() ? Width::Bits64 : Width::Bits32)];
}

// As x86::linear_pc, by what the CPU has derived from its mode: the fast loop asks for every block.
inline std::uint64_t linear_pc(const Cpu& cpu) {
  const std::uint64_t rip = instruction_pointer(cpu);
  if (cpu.code64()) return rip;
  return x86::segmented_address(cpu.seg(x86::SegmentName::Cs).base, rip);
}

// The string instruction that was begun last is not over.
void note_iterations(Cpu& cpu);

// The instruction is complete: do its hits of watchpoints and catches count? The first that does is
// the exit.
void settle_all_hits(Cpu& cpu);
inline void settle_hits(Cpu& cpu) {
  if (cpu.watch_hits.empty() && cpu.physical_watch_hits.empty() && cpu.caught.empty()) [[likely]] {
    return;
  }
  settle_all_hits(cpu);
}

// What an instruction may have changed before it turned out that it is to be executed again.
struct Before {
  explicit Before(const Cpu& cpu) : debug(cpu.pending_debug), nmi_blocked(cpu.nmi_blocked) {}
  std::uint64_t debug;  // traps that were pending
  bool nmi_blocked;
};

// The instruction at insn_rip is to be executed again.
void undo(Cpu& cpu, const Before& before);
// The same for the debugger, who has heard of a breakpoint here.
void undo_caught(Cpu& cpu, const Before& before);

}  // namespace ringside::soft
