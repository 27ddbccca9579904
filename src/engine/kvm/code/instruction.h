// What a step has to know of an instruction before it is executed: whether the trap flag would leak
// out of it, and whether the trap would be lost because control goes elsewhere. Pure.
#pragma once

#include <cstdint>
#include <span>

namespace ringside::kvm {

enum class CodeSize : std::uint8_t { Bits16, Bits32, Bits64 };

struct Instruction {
  enum class Kind : std::uint8_t {
    Unknown,            // undecodable or not all of it readable
    Plain,              // the trap comes after it, and nothing shows the trap flag
    PushFlags,          // stores the flags on the stack
    PopFlags,           // loads them
    InterruptReturn,    // likewise, and goes elsewhere
    SoftwareInterrupt,  // INT n, INTO, BOUND, INT1: an entry through the interrupt table
    Breakpoint,         // INT3
    SystemCall,         // SYSCALL: the flags go to R11
    SystemEnter,
    SystemReturn,      // SYSRET: the flags come from R11
    SystemExit,        // SYSEXIT
    LoadStackSegment,  // MOV SS, POP SS: holds the trap back for one more instruction
    Halt,
  };
  Kind kind = Kind::Unknown;
  std::uint8_t length = 0;
  std::uint8_t operand_size = 0;  // bytes of flags pushed or popped
  std::uint8_t vector = 0;        // of SoftwareInterrupt
  // It may raise an exception, so that control may go to a handler instead.
  bool may_fault = true;
  // Where it raises none, the next instruction in memory follows, in the same mapping and mode.
  bool falls_through = false;
};

// `code` begins at the instruction; up to 15 bytes are looked at.
Instruction examine(std::span<const std::uint8_t> code, CodeSize size);

// The length of an INT3 with its prefixes at the start of `code`, or 0 if there is another
// instruction.
std::uint8_t int3_length(std::span<const std::uint8_t> code, CodeSize size);

}  // namespace ringside::kvm
