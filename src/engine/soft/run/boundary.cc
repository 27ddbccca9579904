#include "engine/soft/run/boundary.h"

#include <utility>

#include "engine/soft/cpu/board.h"

namespace ringside::soft {

namespace {

namespace exit = hypervisor::exit;

}  // namespace

void note_iterations(Cpu& cpu) {
  const std::uint64_t count = std::exchange(cpu.iterations, 0);
  if (count != 0) cpu.board().note_parts(count);
}

void settle_all_hits(Cpu& cpu) {
  const auto settle = [&](hypervisor::Exit hit) {
    if (cpu.pending_exit) return;
    const Board::Verdict verdict = cpu.board().judge(cpu, hit, Board::HitIs::Over);
    if (verdict == Board::Verdict::Exit) cpu.pending_exit = std::move(hit);
  };
  for (const exit::Watchpoint& watch : cpu.watch_hits)
    settle(watch);
  for (const exit::PhysicalWatchpoint& watch : cpu.physical_watch_hits)
    settle(watch);
  for (exit::Caught& what : cpu.caught) {
    what.at = {linear_pc(cpu)};
    settle(what);
  }
  cpu.watch_hits.clear();
  cpu.physical_watch_hits.clear();
  cpu.caught.clear();
}

void undo(Cpu& cpu, const Before& before) {
  note_iterations(cpu);
  cpu.rip() = cpu.insn_rip;
  cpu.retired = true;
  cpu.pending_debug = before.debug;
  cpu.nmi_blocked = before.nmi_blocked;
  if (cpu.rf_spent_at == cpu.icount) cpu.flags.set_system(x86::rflags::RF, true);
  cpu.watch_hits.clear();
  cpu.physical_watch_hits.clear();
  cpu.caught.clear();
}

void undo_caught(Cpu& cpu, const Before& before) {
  undo(cpu, before);
  cpu.breakpoint_passed = linear_pc(cpu);
}

}  // namespace ringside::soft
