// What the x87 families share: availability, the stack with its faults, the status word, and the
// record of the last instruction. Used by handlers only, on the engine's thread.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/state/insn.h"
#include "engine/soft/state/x87_words.h"

namespace ringside::soft {

namespace x87 {

// Found before the operation is done: unmasked, they leave operands and stack as they are
// (SDM 1 8.6).
inline constexpr std::uint16_t kBeforeComputation = kInvalid | kDenormal | kZeroDivide;
inline constexpr std::uint16_t kOpcodeMask = 0x7ff;
inline constexpr X87Value kIndefinite{0xc000000000000000, 0xffff};

// ---- Availability
[[noreturn]] void unavailable(const Cpu& cpu);
// CR0.EM or CR0.TS: #NM. All x87 instructions but FWAIT.
inline void check_present(const Cpu& cpu) {
  if ((cpu.cr0 & (x86::cr0::EM | x86::cr0::TS)) != 0) [[unlikely]]
    unavailable(cpu);
}
// Waiting instructions take a pending exception first: #MF with CR0.NE. Without it the processor
// would signal FERR# and wait for an external interrupt; here that signal is not connected, and
// execution goes on, as on a board that ignores it.
inline void check_waiting(const Cpu& cpu) {
  check_present(cpu);
  if ((cpu.fpu.status & kErrorSummary) != 0 && (cpu.cr0 & x86::cr0::NE) != 0) [[unlikely]]
    unavailable(cpu);
}

// ---- The last instruction (SDM 1 8.1.8)
// Insn::immediate holds the 11-bit opcode. Called after the last access that can fault, by all
// instructions but the control instructions.
inline void record(Cpu& cpu, const Insn& insn) {
  cpu.fpu.opcode = static_cast<std::uint16_t>(insn.immediate);
  cpu.fpu.instruction_pointer = cpu.insn_rip;
  cpu.fpu.instruction_selector = cpu.seg(x86::SegmentName::Cs).selector;
}
void record_with_memory(Cpu& cpu, const Insn& insn);

// ---- Results and the stack
inline bool is_empty(const Fpu& fpu, unsigned position) {
  return (fpu.empty >> ((fpu.top() + position) & 7) & 1) != 0;
}
inline void set_st(Fpu& fpu, unsigned position, const X87Value& value) {
  const unsigned physical = (fpu.top() + position) & 7;
  fpu.physical[physical] = value;
  fpu.empty = static_cast<std::uint8_t>(fpu.empty & ~(1u << physical));
}
inline void pop(Fpu& fpu) {
  fpu.empty = static_cast<std::uint8_t>(fpu.empty | 1u << fpu.top());
  fpu.set_top(fpu.top() + 1);
}
inline void push(Fpu& fpu, const X87Value& value) {
  fpu.set_top(fpu.top() - 1);
  set_st(fpu, 0, value);
}
// Replaces the condition bits in `mask`.
inline void set_conditions(Fpu& fpu, std::uint16_t mask, std::uint16_t bits) {
  fpu.status = static_cast<std::uint16_t>((fpu.status & ~mask) | (bits & mask));
}
// Merges exception flags. False: an unmasked one in `blocking` forbids that the operation is done.
inline bool accept(Fpu& fpu, std::uint16_t raised, std::uint16_t blocking = kBeforeComputation) {
  raised &= kExceptions | kStackFault;
  if (raised == 0) return true;
  fpu.status |= raised;
  update_summary(fpu);
  return (raised & ~fpu.control & blocking & kExceptions) == 0;
}
// Stack faults (SDM 1 8.5.1.1): C1 says which. True: the masked response is to be given.
inline bool stack_underflow(Fpu& fpu) {
  set_conditions(fpu, kC1, 0);
  return accept(fpu, kInvalid | kStackFault);
}
inline bool stack_overflow(Fpu& fpu) {
  set_conditions(fpu, kC1, kC1);
  return accept(fpu, kInvalid | kStackFault);
}
// A push that can overflow; C1 is cleared otherwise.
inline void push_checked(Fpu& fpu, const X87Value& value) {
  if (!is_empty(fpu, 7)) {
    if (stack_overflow(fpu)) push(fpu, kIndefinite);
    return;
  }
  set_conditions(fpu, kC1, 0);
  push(fpu, value);
}

// ---- Lowering
// Handlers by opcode D8..DF: with a memory operand by ModRM.reg, with registers by ModRM bits 0..5
// (SDM 2D A.5). ST(i) is in Insn::rm.
struct Table {
  Handler memory[8][8] = {};
  Handler registers[8][64] = {};

  void set_memory(unsigned opcode, unsigned reg, Handler handler) {
    memory[opcode - 0xd8][reg] = handler;
  }
  // One ModRM byte (C0..FF).
  void set(unsigned opcode, unsigned modrm, Handler handler) {
    registers[opcode - 0xd8][modrm & 63] = handler;
  }
  // All eight ST(i) from this ModRM byte on.
  void set_all(unsigned opcode, unsigned modrm, Handler handler) {
    for (unsigned i = 0; i < 8; ++i)
      set(opcode, modrm + i, handler);
  }
};
void add_arithmetic(Table& table);
void add_compares(Table& table);
void add_loads_and_stores(Table& table);
void add_transcendentals(Table& table);
void add_control(Table& table);

}  // namespace x87
// What decode() is to know of this room.
void register_x87(LowerTable& table);

}  // namespace ringside::soft
