#include "engine/soft/run/run.h"

#include <algorithm>
#include <utility>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/debug_registers.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/instructions/instructions.h"
#include "engine/soft/run/boundary.h"
#include "engine/soft/run/flow.h"
#include "engine/soft/translate/translator.h"
#include "x86/linear_address.h"

namespace ringside::soft {
namespace {

namespace exit = hypervisor::exit;

// Reads code bytes from `linear` on, at most 15; stops early at a fault on a later page.
unsigned fetch_bytes(Cpu& cpu, std::uint64_t linear, std::uint8_t (&bytes)[16]) {
  unsigned count = 0;
  while (count < 15) {
    Gpa gpa;
    if (count == 0) {
      gpa = cpu.fetch_gpa(linear);
    } else {
      std::uint64_t next = linear + count;
      if (!cpu.long_mode()) next &= 0xffffffff;
      gpa = cpu.fetch_gpa(next);
    }
    const auto in_page = static_cast<unsigned>(kPageSize - gpa.value % kPageSize);
    const unsigned part = std::min(15 - count, in_page);
    const std::uint8_t* host = cpu.board().ram.host(gpa, part);
    if (host != nullptr) {
      std::copy_n(host, part, bytes + count);
    } else {
      std::fill_n(bytes + count, part, std::uint8_t{0xff});
    }
    count += part;
  }
  return count;
}

// An instruction that does not fit in its page. The second page is fetched (and may fault) only
// when its bytes are needed, and then each time that the instruction is executed, whether it is
// decoded already or not: what the guest sees of its tables must not depend on that.
Insn decode_across_pages(Cpu& cpu, std::uint64_t linear) {
  Board& board = cpu.board();
  const Gpa gpa = cpu.fetch_gpa(linear);
  const std::uint64_t key = CodeCache::key(gpa, cpu.code_width());
  const auto second_page = [&] {
    const std::uint64_t next = (linear & kPageMask) + kPageSize;
    return cpu.fetch_gpa(cpu.long_mode() ? next : next & 0xffffffff);
  };
  if (const CodeCache::Crossing* known = board.code.crossing(key)) {
    if (known->second_page == second_page().value) return known->insn;
  }
  std::uint8_t bytes[16];
  const unsigned count = fetch_bytes(cpu, linear, bytes);
  const Insn insn = decode({bytes, count}, cpu.code_width(), board.processor);
  if (insn.length <= kPageSize - gpa.value % kPageSize) return insn;
  const Gpa second = second_page();
  if (board.ram.host({gpa.value & kPageMask}, kPageSize) != nullptr &&
      board.ram.host(second, kPageSize) != nullptr) {
    board.code.keep_crossing(key, second, insn, [&](Gpa page) { board.watch_code_page(page); });
  }
  return insn;
}

bool ends_block(const Insn& insn, std::uint64_t next_offset_in_page) {
  return (insn.prefixes & prefix::kEndsBlock) != 0 || next_offset_in_page >= kPageSize;
}

// Decodes the block at `gpa`, which `linear` maps to. It ends before a breakpoint of the debugger,
// so that one can only be at its start. Null when its first instruction crosses the page.
Block* build_block(Cpu& cpu, Gpa gpa, std::uint64_t linear) {
  Board& board = cpu.board();
  const Gpa page{gpa.value & kPageMask};
  const std::uint8_t* host = board.ram.host(page, kPageSize);
  if (host == nullptr) return nullptr;
  const bool checked = cpu.fetch_page_is_checked();
  const std::span<const std::uint16_t> physical = board.physical_breakpoints.in_page(page.value);
  std::span<const std::uint16_t> by_address;
  if (checked) by_address = board.breakpoints.in_page(linear);
  const auto stops_at = [&](std::uint64_t offset) {
    return std::binary_search(physical.begin(), physical.end(), offset) ||
           std::binary_search(by_address.begin(), by_address.end(), offset);
  };
  Insn* const first = board.code.reserve();
  unsigned count = 0;
  std::uint64_t offset = gpa.value % kPageSize;
  const std::uint64_t start = offset;
  while (count < CodeCache::kMaxBlock) {
    if (count > 0 && stops_at(offset)) break;
    const std::uint64_t available = std::min<std::uint64_t>(15, kPageSize - offset);
    first[count] = decode({host + offset, available}, cpu.code_width(), board.processor);
    if (first[count].length == 0) break;  // continues on the next page
    offset += first[count].length;
    if (ends_block(first[count++], offset)) break;
  }
  if (count == 0) return nullptr;
  bool first_in_page = false;
  Block* block = board.code.commit(CodeCache::key(gpa, cpu.code_width(), checked), first, count,
                                   static_cast<unsigned>(offset - start), first_in_page);
  block->stops_first = stops_at(start);
  if (checked) block->own_stamp = board.breakpoint_stamp(linear);
  if (first_in_page) board.watch_code_page(page);
  return block;
}

// The block that starts at `gpa`, decoded if need be; null when its first instruction crosses the
// page. `previous` ran before it, or is null.
Block* find_block(Cpu& cpu, Gpa gpa, std::uint64_t linear, Block* previous) {
  CodeCache& code = cpu.board().code;
  const bool checked = cpu.fetch_page_is_checked();
  const std::uint64_t key = CodeCache::key(gpa, cpu.code_width(), checked);
  Block* block = previous != nullptr ? code.find_after(previous, key) : code.find(key);
  if (checked && block != nullptr &&
      block->breakpoint_stamp() != cpu.board().breakpoint_stamp(linear)) [[unlikely]] {
    code.drop(block);
    block = nullptr;
  }
  if (block != nullptr) return block;
  if (code.crossing(CodeCache::key(gpa, cpu.code_width())) != nullptr) return nullptr;
  return build_block(cpu, gpa, linear);
}

// A breakpoint of the debugger stands at `linear`. False: it does not count, because the debugger
// resumes from here or a condition is false.
bool stops_here(Cpu& cpu, std::uint64_t linear, const std::optional<Gpa>& where = std::nullopt) {
  if (cpu.breakpoint_passed == linear) {
    cpu.breakpoint_passed.reset();
    return false;
  }
  // Made in its place: moved there, its halves would be stored and loaded again as a whole.
  hypervisor::Exit hit;
  auto& breakpoint = hit.emplace<exit::HardwareBreakpoint>();
  breakpoint.address = Gva{linear};
  breakpoint.where = where;
  const Board::Verdict verdict = cpu.board().judge(cpu, hit, Board::HitIs::Next);
  if (verdict == Board::Verdict::Exit) cpu.pending_exit = std::move(hit);
  if (verdict == Board::Verdict::EndSlice) cpu.breakpoint_passed = linear;  // it has had its say
  return verdict != Board::Verdict::GoOn;
}

// The same before a fetch that needs a walk. A breakpoint by linear address comes before whatever
// that walk may find wrong (SDM 3A table 6-2: code breakpoints before faults from fetching). Where
// the translation is known nothing can fault, and the block has the breakpoint.
bool stops_before_fetch(Cpu& cpu, std::uint64_t linear) {
  if (!cpu.board().breakpoints.contains(linear)) return false;
  if (stops_here(cpu, linear)) return true;
  cpu.breakpoint_passed = linear;  // it has had its say: the block must not ask again
  return false;
}

// In legacy modes: every byte of the block lies within the code segment.
bool within_code_segment(const Cpu& cpu, std::uint64_t bytes) {
  if (cpu.code64()) return true;
  const std::uint64_t limit = cpu.seg(x86::SegmentName::Cs).limit;
  return instruction_pointer(cpu) + bytes - 1 <= limit;
}

void execute(Cpu& cpu, const Insn& insn) {
  cpu.insn_rip = cpu.rip();
  cpu.rip() += insn.length;
  insn.execute(cpu, insn);
  ++cpu.icount;
}

// The instruction that has just run may have said that it is not complete.
void settle_retirement(Cpu& cpu) {
  if (cpu.retired) return;
  cpu.retired = true;
  --cpu.icount;
  note_iterations(cpu);
}

void execute_single(Cpu& cpu) {
  const std::uint64_t linear = linear_pc(cpu);
  cpu.insn_rip = cpu.rip();
  check_instruction_breakpoint(cpu, linear);
  const Block* block = find_block(cpu, cpu.fetch_gpa(linear), linear, nullptr);
  const Insn insn = block != nullptr ? *block->first : decode_across_pages(cpu, linear);
  if (!within_code_segment(cpu, insn.length)) raise(x86::Vector::GeneralProtection, 0);
  const FlowBefore before(cpu);
  execute(cpu, insn);
  if (cpu.board().tells_flow() && is_told(insn)) tell_flow(cpu, insn, linear, before);
  settle_retirement(cpu);
}

// Whether a breakpoint by physical address stands on the next instruction. Not if it cannot be
// fetched, or if a breakpoint of the guest's own comes first: the attempt to execute it finds that,
// and delivers it, as it would without a debugger.
bool stands_on_byte(Cpu& cpu, std::uint64_t linear) {
  const Board& board = cpu.board();
  if (board.physical_breakpoints.empty() || breaks_on_instruction(cpu, linear)) return false;
  try {
    return board.physical_breakpoints.contains(cpu.fetch_gpa(linear).value);
  } catch (const GuestFault&) {
    return false;
  }
}

// Whether to stop before the next instruction. For the paths that do not go through run_blocks.
bool stops_before_next(Cpu& cpu) {
  const Board& board = cpu.board();
  if (board.breakpoints.empty() && board.physical_breakpoints.empty()) return false;
  const std::uint64_t linear = linear_pc(cpu);
  const bool stands = board.breakpoints.contains(linear) || stands_on_byte(cpu, linear);
  return stands && stops_here(cpu, linear);
}

// Whether the instruction at `gpa`, which `linear` maps to, is where the last run left a block half
// way. No breakpoint of the debugger stands there, or the block would have ended before it.
bool goes_on_half_way(Cpu& cpu, Gpa gpa, std::uint64_t linear) {
  const CodeCache::Place& place = cpu.half_way;
  if (place.linear != linear || !cpu.board().code.is_valid(place)) return false;
  const bool checked = cpu.fetch_page_is_checked();
  const Gpa start{gpa.value - place.offset};
  return place.key == CodeCache::key(start, cpu.code_width(), checked) &&
         (!checked || place.block->breakpoint_stamp() == cpu.board().breakpoint_stamp(linear)) &&
         within_code_segment(cpu, place.block->bytes - std::uint64_t{place.offset});
}

// Instructions of one block until its end or until icount reaches limit; gives the next one. Only
// the last one of a block can change the flow: so RIP and the count need not be read anew for each.
const Insn* run_instructions(Cpu& cpu, const Insn* insn, const Insn* end) {
  std::uint64_t rip = cpu.rip(), icount = cpu.icount;
  do {
    cpu.insn_rip = rip;
    cpu.rip() = rip += insn->length;
    insn->execute(cpu, *insn);
    cpu.icount = ++icount;
    ++insn;
  } while (insn != end && icount < cpu.limit);
  return insn;
}

// As run_instructions, whose last instruction is told of if it is the block's last.
const Insn* run_told_instructions(Cpu& cpu, const Insn* insn, const Insn* end) {
  const Insn& last = *(end - 1);
  if (!is_told(last)) return run_instructions(cpu, insn, end);
  if (end - insn > 1) {
    insn = run_instructions(cpu, insn, end - 1);
    if (insn != end - 1 || cpu.icount >= cpu.limit) return insn;
  }
  const std::uint64_t from = linear_pc(cpu);
  const FlowBefore before(cpu);
  insn = run_instructions(cpu, insn, end);
  if (cpu.retired) tell_flow(cpu, last, from, before);
  return insn;
}

// Runs the block's host code and what follows it, if it has some or is to get it now. Gives whether
// it did. `led_here` is the exit by which other host code was left right before, or null; `slot`
// becomes the one by which it is left now.
bool run_translated(Cpu& cpu, Block& block, Gpa gpa, std::uint64_t linear, ExitSlot* led_here,
                    ExitSlot*& slot) {
  Translator* const translator = cpu.board().translator;
  if (translator == nullptr || cpu.board().flow_listener != nullptr ||
      cpu.limit - cpu.icount < block.count)
    return false;
  translator->synchronise();
  HostBlock* host = block.host();
  if (host == nullptr) {
    if (!translator->is_due(block)) return false;
    // May throw away the code that the exit belongs to.
    led_here = nullptr;
    host = translator->translate(block, gpa, linear);
    if (host == nullptr) return false;
  }
  if (led_here != nullptr) host->link(*led_here);
  translator->remember(linear, *host);
  slot = translator->run(cpu, *host);
  return true;
}

// The fast loop: whole blocks until icount reaches limit.
void run_blocks(Cpu& cpu) {
  Block* previous = nullptr;
  ExitSlot* slot = nullptr;  // by which host code was left, right before
  while (cpu.icount < cpu.limit) {
    ExitSlot* const led_here = std::exchange(slot, nullptr);
    const std::uint64_t linear = linear_pc(cpu);
    cpu.insn_rip = cpu.rip();
    if (!cpu.knows_fetch(linear) && stops_before_fetch(cpu, linear)) [[unlikely]] {
      return;
    }
    const Gpa gpa = cpu.fetch_gpa(linear);
    Block* block = nullptr;
    unsigned index = 0, offset = 0;  // of the instruction in the block
    if (previous == nullptr && goes_on_half_way(cpu, gpa, linear)) {
      block = cpu.half_way.block;
      index = cpu.half_way.index;
      offset = cpu.half_way.offset;
    } else {
      block = find_block(cpu, gpa, linear, previous);
      if (block == nullptr || !within_code_segment(cpu, block->bytes)) [[unlikely]] {
        previous = block;
        if (stops_before_next(cpu)) return;
        execute_single(cpu);
        continue;
      }
      if (block->stops_first && stops_here(cpu, linear, gpa)) [[unlikely]] {
        return;
      }
      if (run_translated(cpu, *block, gpa, linear, led_here, slot)) {
        previous = nullptr;
        if (cpu.host_fault || cpu.host_error) [[unlikely]]
          return;
        if (!cpu.retired) [[unlikely]]
          settle_retirement(cpu);
        continue;
      }
    }
    previous = block;
    const Insn* const end = block->first + block->count;
    const Insn* const insn = cpu.board().tells_flow()
                                 ? run_told_instructions(cpu, block->first + index, end)
                                 : run_instructions(cpu, block->first + index, end);
    if (insn != end) [[unlikely]] {
      const std::uint64_t now_at = linear_pc(cpu);
      cpu.half_way = {block,
                      block->key,
                      cpu.board().code.epoch(),
                      now_at,
                      static_cast<std::uint16_t>(insn - block->first),
                      static_cast<std::uint16_t>(offset + (now_at - linear))};
    }
    if (!cpu.retired) [[unlikely]] {
      settle_retirement(cpu);
    }
  }
}

bool interrupt_shadow(const Cpu& cpu) { return cpu.icount < cpu.interrupt_shadow_until; }

// The run has to stop here. Asked only where something would happen that retires nothing.
bool at_stop(const Cpu& cpu) {
  return cpu.icount == cpu.stop_icount && cpu.board().progress().parts >= cpu.board().stop_parts;
}

// Traps that are due at this boundary. What an SS load has brought waits for one instruction more
// (SDM 3A 6.8.3); what the debugger injects comes first, because it belongs to the instruction that
// has ended.
bool debug_deliverable(const Cpu& cpu) {
  return cpu.pending_debug != 0 && cpu.icount >= cpu.debug_shadow_until && !cpu.pending_exit &&
         !cpu.injected && !at_stop(cpu);
}

bool interrupt_deliverable(const Cpu& cpu) {
  return cpu.interrupt_pin && cpu.flags.interrupts() && !interrupt_shadow(cpu) &&
         !cpu.mask_interrupts;
}

bool nmi_deliverable(const Cpu& cpu) {
  return cpu.nmi_pending && !cpu.nmi_blocked && !interrupt_shadow(cpu) && !cpu.mask_interrupts;
}

// An exception of the instruction at insn_rip. It counts as an instruction so that a guest that
// does nothing but fault still moves time.
void take_fault(Cpu& cpu, const GuestFault& fault) {
  cpu.rip() = cpu.insn_rip;
  cpu.retired = true;
  cpu.iterations = 0;
  // Of accesses that will be made again; a trap that an SS load has held back is lost with a fault.
  cpu.pending_debug = 0;
  // Its handler may come back, which is another arrival.
  if (cpu.breakpoint_passed == linear_pc(cpu)) cpu.breakpoint_passed.reset();
  ++cpu.icount;
  deliver_exception(cpu, fault.exception);
}

// Whether faults are an instruction's, which can be executed again, or those of delivering an event
// that came between two.
enum class FaultsOf : std::uint8_t { Instruction, Delivery };

void fault_raised(Cpu& cpu, const GuestFault& fault, FaultsOf origin, const Before& before) {
  cpu.rip() = cpu.insn_rip;
  const bool half_done = std::exchange(cpu.switches_task, false);
  if (origin == FaultsOf::Delivery || half_done) {
    note_delivered(cpu, fault.exception);
  } else if (stops_before(cpu, caught_exception(fault.exception))) {
    undo_caught(cpu, before);
    return;
  }
  take_fault(cpu, fault);
}

// Runs `action` and delivers what it raises.
template <typename Action>
void guarded(Cpu& cpu, Action action, FaultsOf origin = FaultsOf::Instruction) {
  const Before before(cpu);
  try {
    action();
    if (cpu.host_fault) [[unlikely]] {
      fault_raised(cpu, *std::exchange(cpu.host_fault, std::nullopt), origin, before);
    } else if (cpu.host_error) [[unlikely]] {
      std::rethrow_exception(std::exchange(cpu.host_error, nullptr));
    }
  } catch (const GuestFault& fault) {
    fault_raised(cpu, fault, origin, before);
  } catch (const InsnCaught&) {
    undo_caught(cpu, before);
  } catch (const InsnWaits&) {
    undo(cpu, before);
    cpu.activity = Activity::WaitingForDevice;
    cpu.board().note_parts(1);
  } catch (const InsnHeld&) {
    undo(cpu, before);
    cpu.breakpoint_passed = linear_pc(cpu);  // one here has had its say
    cpu.board().held = true;
    cpu.yield_soon();
  }
}

// The instruction that was begun last was executed, or an event delivered instead.
bool got_on(const Cpu& cpu) {
  return cpu.activity != Activity::WaitingForDevice && !cpu.board().held;
}

// Injected events, NMI and interrupts that are due before the next instruction. True when one was
// delivered, or is caught before that.
bool deliver_due(Cpu& cpu, bool external_allowed) {
  using Source = exit::Caught::Source;
  if (cpu.injected) {
    if (stops_before(cpu, caught_exception(*cpu.injected))) return true;
    const x86::Exception exception = *cpu.injected;
    cpu.injected.reset();
    const std::uint8_t length = cpu.entry_insn_length;
    cpu.entry_insn_length = 1;
    cpu.insn_rip = cpu.rip();
    const bool software =
        exception.vector == x86::Vector::Breakpoint || exception.vector == x86::Vector::Overflow;
    if (software) {
      cpu.rip() += length;
    } else {
      cpu.pending_debug = 0;
    }
    deliver_exception(cpu, exception, software ? EventType::SoftwareException : EventType::Fault);
    ++cpu.icount;
    return true;
  }
  if (!external_allowed) return false;
  if (nmi_deliverable(cpu)) {
    if (stops_before(cpu, caught_interrupt(2, Source::Nmi))) return true;
    cpu.board().note_parts(1);
    cpu.nmi_pending = false;
    cpu.activity = Activity::Running;
    cpu.insn_rip = cpu.rip();
    cpu.nmi_blocked = true;
    guarded(
        cpu,
        [&] {
          deliver(cpu, {EventType::Nmi, 2, std::nullopt});
        },
        FaultsOf::Delivery);
    return true;
  }
  if (interrupt_deliverable(cpu)) {
    if (cpu.board().catches_any(hypervisor::CatchKind::Interrupt)) [[unlikely]] {
      const auto next = cpu.board().platform.peek_interrupt(cpu.id());
      if (next && stops_before(cpu, caught_interrupt(*next, Source::External))) return true;
    }
    const auto vector = cpu.board().platform.acknowledge_interrupt(cpu.id());
    if (!vector) return false;
    cpu.board().note_parts(1);
    cpu.activity = Activity::Running;
    cpu.insn_rip = cpu.rip();
    guarded(
        cpu,
        [&] {
          deliver(cpu, {EventType::External, *vector, std::nullopt});
        },
        FaultsOf::Delivery);
    return true;
  }
  return false;
}

// The instruction has been executed, and its trap, if it has one, is due: not at a breakpoint or
// before an event that is caught, which come before it, and not on a vCPU that is dead or asleep.
// Other exits come after it.
bool is_over(const Cpu& cpu) {
  if (cpu.activity == Activity::Dead || cpu.activity == Activity::Asleep) return false;
  return !cpu.pending_exit ||
         !(std::holds_alternative<exit::Breakpoint>(*cpu.pending_exit) ||
           std::holds_alternative<exit::HardwareBreakpoint>(*cpu.pending_exit) ||
           std::holds_alternative<exit::Caught>(*cpu.pending_exit));
}

// One instruction with everything that can happen round it.
void run_one(Cpu& cpu) {
  const bool trap_flag = cpu.flags.tf();
  cpu.one_iteration = true;
  cpu.event_delivered = false;
  guarded(cpu, [&] { execute_single(cpu); });
  cpu.one_iteration = false;
  // MOV SS and POP SS hold the trap back for one instruction (SDM 3A 6.8.3).
  const bool shadowed = cpu.icount < cpu.debug_shadow_until;
  if (trap_flag && got_on(cpu) && is_over(cpu) && !shadowed && !cpu.event_delivered) {
    cpu.pending_debug |= x86::dr6::BS;
  }
}

// False: it is caught before that.
bool deliver_pending_debug(Cpu& cpu) {
  const exit::Caught trap = caught_exception({x86::Vector::Debug, std::nullopt, 0});
  if (stops_before(cpu, trap)) return false;
  cpu.board().note_parts(1);
  record_debug_causes(cpu, std::exchange(cpu.pending_debug, 0));
  cpu.insn_rip = cpu.rip();
  cpu.activity = Activity::Running;
  deliver_exception(cpu, {x86::Vector::Debug, std::nullopt, 0});
  settle_hits(cpu);
  return true;
}

}  // namespace

bool can_wake(const Cpu& cpu) {
  switch (cpu.activity) {
    case Activity::Running:
      return true;
    case Activity::Halted:
      return interrupt_deliverable(cpu) || nmi_deliverable(cpu) || cpu.injected ||
             debug_deliverable(cpu);
    default:
      return false;
  }
}

void run(Cpu& cpu, std::uint64_t until) {
  if (cpu.breakpoint_passed && cpu.breakpoint_passed != linear_pc(cpu))
    cpu.breakpoint_passed.reset();
  cpu.run_until = until;
  while (cpu.icount < cpu.run_until && !cpu.pending_exit && can_wake(cpu)) {
    // Traps on the previous instruction come before interrupts (SDM 3A table 6-2).
    if (debug_deliverable(cpu) && !deliver_pending_debug(cpu)) return;
    if (deliver_due(cpu, true)) {
      settle_hits(cpu);
      continue;
    }
    if (cpu.activity != Activity::Running) return;
    if (cpu.flags.tf() || breaks_on_execution(cpu)) {
      cpu.limit = cpu.run_until;
      if (!stops_before_next(cpu)) run_one(cpu);
    } else {
      cpu.limit = interrupt_shadow(cpu) ? std::min(cpu.run_until, cpu.icount + 1) : cpu.run_until;
      guarded(cpu, [&] { run_blocks(cpu); });
    }
    settle_hits(cpu);
    if (debug_deliverable(cpu)) deliver_pending_debug(cpu);
  }
}

bool step(Cpu& cpu) {
  if (!can_wake(cpu)) return false;
  cpu.breakpoint_passed.reset();
  if (debug_deliverable(cpu)) {
    deliver_pending_debug(cpu);
    return true;
  }
  // An external event may be the step's instruction, unless interrupts are masked.
  if (deliver_due(cpu, true)) {
    settle_hits(cpu);
    return true;
  }
  cpu.limit = cpu.icount + 1;
  run_one(cpu);
  settle_hits(cpu);
  if (debug_deliverable(cpu)) deliver_pending_debug(cpu);
  return got_on(cpu);
}

void run_part(Cpu& cpu) {
  if (!can_wake(cpu)) return;
  if (debug_deliverable(cpu)) {
    deliver_pending_debug(cpu);
    return;
  }
  if (!deliver_due(cpu, true)) {
    if (cpu.activity != Activity::Running || stops_before_next(cpu)) return;
    cpu.limit = cpu.icount + 1;
    run_one(cpu);
  }
  settle_hits(cpu);
}

bool stops_at_breakpoint(Cpu& cpu) { return stops_before_next(cpu); }

void pass_breakpoint(Cpu& cpu) { cpu.breakpoint_passed = linear_pc(cpu); }

}  // namespace ringside::soft
