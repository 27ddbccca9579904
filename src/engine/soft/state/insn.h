// An instruction lowered from its decoded form: a handler and its operands, 32 bytes, cached per
// guest-physical address. Immutable once built; owned by the code cache.
#pragma once

#include <cstdint>

namespace ringside::soft {

class Cpu;
struct Insn;

// Executes one instruction. On entry RIP is already past it. A handler changes registers, flags and
// RIP only after its last access that can fault: then a fault needs no undoing.
using Handler = void (*)(Cpu&, const Insn&);

// Values of Insn::segment. In 64-bit mode only FS and GS have a base, and nothing has a limit.
namespace segment_use {
inline constexpr std::uint8_t kChecked = 0;    // 0..5: a SegmentName with limit and type checks
inline constexpr std::uint8_t kFlat = 6;       // no base
inline constexpr std::uint8_t kFlatStack = 7;  // no base; a non-canonical address is #SS, not #GP
inline constexpr std::uint8_t kFs64 = 8, kGs64 = 9;  // base only
}  // namespace segment_use

enum class Width : std::uint8_t { Bits8, Bits16, Bits32, Bits64 };

namespace prefix {
inline constexpr std::uint8_t kRep = 1, kRepne = 2, kLock = 4;
// Not a prefix: the instruction may change the flow, the mode or the translation, so that a block
// of decoded instructions ends with it.
inline constexpr std::uint8_t kEndsBlock = 0x80;
// Nor these: a CALL, a RET, an IRET.
inline constexpr std::uint8_t kFlow = 0x70, kCall = 0x10, kReturn = 0x20, kResume = 0x40;
}  // namespace prefix

struct Insn {
  Handler execute = nullptr;
  std::uint64_t immediate = 0;  // sign-extended to 64 bits; also absolute (moffs) addresses
  std::int32_t displacement = 0;
  std::uint8_t length = 0;
  // Register operands as Gpr (or vector, segment, control…) numbers. For 8-bit general registers:
  // byte offsets into the register file (number * 8, + 1 for AH CH DH BH).
  std::uint8_t reg = 0, rm = 0;
  // The memory operand. base and index are Gpr numbers, Cpu::kNoRegister or Cpu::kRip.
  std::uint8_t base = 0, index = 0, scale = 0;  // scale as a shift
  std::uint8_t segment = 0;
  Width address_width = Width::Bits64;
  Width operand_width = Width::Bits32;
  std::uint8_t prefixes = 0;
  std::uint8_t code_width = 0;  // Width of the code segment: 16, 32 or 64
  std::uint8_t extra = 0;       // the family's own (a condition, a third register…)
};
static_assert(sizeof(Insn) == 32);

}  // namespace ringside::soft
