// Transfers of control and of segment registers that are more than a near branch. Cold except for
// IRET and SYSCALL; on the thread that runs the CPU.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/segments.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/state/insn.h"

namespace ringside::soft {

// ---- Code segments (SDM 3A 5.8), transfers_far.cc
// The descriptor that a return goes to: RPL is the new CPL, at or outside the present one.
Descriptor read_return_code(Cpu& cpu, std::uint16_t selector);
// Offset within the target's limit or, for 64-bit code, canonical; else #GP(0).
void check_code_offset(const Cpu& cpu, const x86::Segment& target, std::uint64_t offset);
// Whether code in this segment runs in 64-bit mode.
bool is_code64(const Cpu& cpu, const x86::Segment& target);
// Commits CS and CPL. The descriptor is marked accessed, which may fault: call it before RIP and
// RSP change.
void enter_code(Cpu& cpu, Descriptor& code, unsigned cpl);
// The stack of a return to `cpl`. Null is allowed below ring 3 in 64-bit mode only.
Descriptor read_return_stack(Cpu& cpu, std::uint16_t selector, unsigned cpl, bool to_code64);
// Commits a return that also takes SS and RSP from the stack.
void enter_with_stack(Cpu& cpu, Descriptor& code, Descriptor& stack, std::uint64_t rsp,
                      unsigned cpl);

// A value of `width` at the top of the stack plus `skip` bytes.
std::uint64_t peek(Cpu& cpu, Width width, std::uint64_t skip);
constexpr unsigned bytes_of(Width width) { return 1u << static_cast<unsigned>(width); }

// ---- RFLAGS, system_flags.cc
// What POPF and IRET may change at the present CPL and IOPL (SDM 2B, POPF).
enum class FlagsFrom : std::uint8_t { Popf, Iret };
void load_flags(Cpu& cpu, std::uint64_t value, Width width, FlagsFrom from);

// ---- The parts of register_transfers, one per file
void register_far(LowerTable& table);            // transfers_far.cc
void register_interrupts(LowerTable& table);     // transfers_interrupt.cc
void register_fast_calls(LowerTable& table);     // transfers_syscall.cc
void register_segment_moves(LowerTable& table);  // transfers_segment.cc

// What decode() is to know of far jumps, calls and returns, INT, IRET, SYSCALL and their like.
void register_transfers(LowerTable& table);

}  // namespace ringside::soft
