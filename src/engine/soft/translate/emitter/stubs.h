// The host code that is not made from the guest's: how it is entered and left, how it calls
// handlers, how it finds the block at an address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/translate/emitter/host_frames.h"

namespace ringside::soft {

class Assembler;

// Which host register has a guest register, or -1.
inline constexpr std::array<std::int8_t, 16> kHostRegister = {
    7,   // RAX in RDI
    8,   // RCX in R8
    9,   // RDX in R9
    3,   // RBX in RBX
    10,  // RSP in R10
    13,  // RBP in R13
    14,  // RSI in R14
    15,  // RDI in R15
    11,  // R8 in R11
    -1, -1, -1,
    12,  // R12 in R12
    -1, -1, -1,
};

// Blocks by their linear address: what ran there last. Direct-mapped; an entry is a guess, to be
// used when the page that is fetched from is the block's.
struct JumpEntry {
  std::uint64_t rip = ~std::uint64_t{0};
  HostBlock* block = nullptr;
};
static_assert(sizeof(JumpEntry) == 16);  // host code finds an entry by a shift
inline constexpr unsigned kJumpBits = 12;
inline constexpr std::uint64_t jump_index(std::uint64_t rip) {
  return (rip ^ rip >> kJumpBits) & ((1u << kJumpBits) - 1);
}

// Positions in the code memory.
struct Stubs {
  std::size_t enter = 0;
  // Back to the run loop. The guest's registers are where host code has them; `exit` takes the slot
  // by which it left in RDX, `exit_without` was not at one.
  std::size_t exit = 0, exit_without = 0;
  // To the block at Cpu::rip, or back to the run loop. RCX has RIP.
  std::size_t look_up = 0;
  // Calls of a handler: RSI is the Insn, EDX tells where (host_calls.h). Returns when the block
  // goes on. The second: when the instruction was the block's last one, which goes on at Cpu::rip.
  std::size_t call_handler = 0, call_last_handler = 0;
  // The instruction and the rest of its block by handlers; goes on as the second.
  std::size_t call_rest = 0;
  // To be called: from now on the host's MXCSR is the guest's, so that floating-point instructions
  // find the guest's rounding and leave their flags as the guest's would, and SSE is available. Not
  // so when it returns with ZF clear. RSI changes. Lasts until a handler is called or the host code
  // left, which both find the Cpu's MXCSR complete and the host's as it was.
  std::size_t load_control = 0;
  // In the order of their positions. The last one is that of all blocks.
  std::vector<FrameRow> frames;
};

struct NamedStub {
  const char* name;
  std::size_t position;
};
// In the order of their positions; each goes on to the next one.
std::vector<NamedStub> in_order(const Stubs& stubs);

// Writes them at the assembler's position. `jumps` has 1 << kJumpBits entries.
Stubs write_stubs(Assembler& code, const CpuOffsets& offsets, const JumpEntry* jumps);

}  // namespace ringside::soft
