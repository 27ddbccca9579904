#include "engine/soft/cpu/catches.h"

#include <algorithm>
#include <utility>

#include "engine/soft/state/fault.h"
#include "x86/linear_address.h"

namespace ringside::soft {
namespace {

using hypervisor::CatchKind;
using hypervisor::exit::Caught;

Gva linear_rip(const Cpu& cpu) {
  if (cpu.code64()) return {cpu.rip()};
  return {x86::segmented_address(cpu.seg(x86::SegmentName::Cs).base, cpu.rip() & 0xffffffff)};
}

// A journey passes them all: they are for the present.
bool is_wanted(const Board& board, const Caught& what) {
  return board.listener == nullptr &&
         std::any_of(board.catches.begin(), board.catches.end(),
                     [&](const hypervisor::Catch& one) { return one.is_for(what); });
}

}  // namespace

bool stops_before_caught(Cpu& cpu, const Caught& event) {
  if (!is_wanted(cpu.board(), event)) return false;
  Caught here = event;
  here.at = linear_rip(cpu);
  if (std::exchange(cpu.caught_at, cpu.icount) != cpu.icount) cpu.events_passed.clear();
  std::vector<Caught>& passed = cpu.events_passed;
  if (std::find(passed.begin(), passed.end(), here) != passed.end()) return false;
  if (cpu.board().judge(cpu, here, Board::HitIs::Next) != Board::Verdict::Exit) return false;
  passed.push_back(here);
  cpu.pending_exit = here;
  return true;
}

void check_own_event(Cpu& cpu, const Caught& event) {
  if (!cpu.board().catches_any(event.kind)) return;
  const std::uint64_t next = std::exchange(cpu.rip(), cpu.insn_rip);
  if (stops_before_caught(cpu, event)) throw InsnCaught{};
  cpu.rip() = next;
}

void note_done(Cpu& cpu, const Caught& what) {
  if (!is_wanted(cpu.board(), what)) return;
  cpu.caught.push_back(what);
  cpu.leave_soon();
}

Caught caught_exception(const x86::Exception& exception) {
  Caught event;
  event.number = static_cast<std::uint32_t>(exception.vector);
  event.error_code = exception.error_code;
  event.value = exception.vector == x86::Vector::PageFault ? exception.fault_address : 0;
  return event;
}

Caught caught_interrupt(std::uint8_t vector, Caught::Source source) {
  Caught event;
  event.kind = CatchKind::Interrupt;
  event.number = vector;
  event.source = source;
  return event;
}

// By the debugger's hand, or as a saved state is loaded, no instruction has changed it.
void Cpu::note_privilege() {
  const std::uint8_t before = std::exchange(seen_cpl_, cpl_);
  if (before == cpl_ || board_.running != this) return;
  Caught change;
  change.kind = CatchKind::PrivilegeChange;
  change.number = cpl_;
  change.value = before;
  note_caught(*this, change);
}

}  // namespace ringside::soft
