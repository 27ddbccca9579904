// The one place that names the assembler library. What it writes goes to the writable mapping of
// the code memory and is executed in the other one, so that addresses of the code itself and of its
// data are told as distances.
#pragma once

#include <xbyak/xbyak.h>

#include <cstdint>

#include "engine/soft/translate/emitter/code_memory.h"

namespace ringside::soft {

// How it says that there is no room, or that there is no such instruction.
using AssemblerError = Xbyak::Error;

class Assembler : public Xbyak::CodeGenerator {
 public:
  // The memory is the caller's: the library neither allocates any nor changes its rights.
  explicit Assembler(const CodeMemory& memory)
      : Xbyak::CodeGenerator(memory.code_bytes(), memory.writable()), memory_(memory) {}

  std::size_t position() const { return getSize(); }
  void set_position(std::size_t position) { setSize(position); }
  const void* executable(std::size_t position) const { return memory_.executable() + position; }

  // Jumps and calls to a position of the code memory.
  void jump(std::size_t to) { branch(0xe9, to); }
  void call_to(std::size_t to) { branch(0xe8, to); }
  // JMP of the address that is kept in `slot`, which lies in the data beside the code.
  void jump_by(const void* slot) {
    db(0xff);
    db(0x25);
    dd(distance(slot));
  }
  // reg = address, which lies in the data beside the code.
  void address_of(const Xbyak::Reg64& reg, const void* data) {
    db(reg.getIdx() >= 8 ? 0x4c : 0x48);
    db(0x8d);
    db(0x05 | (reg.getIdx() & 7) << 3);
    dd(distance(data));
  }
  // A conditional jump whose destination is told later. `condition` is the 4-bit encoding.
  std::size_t jump_if(unsigned condition) {
    db(0x0f);
    db(0x80 | condition);
    dd(0);
    return position();
  }
  std::size_t jump_later() {
    db(0xe9);
    dd(0);
    return position();
  }
  // `jump` is what jump_if or jump_later gave: it goes to `to`.
  void set_destination(std::size_t jump, std::size_t to) {
    rewrite(jump - 4, static_cast<std::uint32_t>(to - jump), 4);
  }

 private:
  void branch(unsigned opcode, std::size_t to) {
    db(opcode);
    dd(static_cast<std::uint32_t>(to - (position() + 4)));
  }
  // To be used as the last four bytes of an instruction.
  std::uint32_t distance(const void* data) const {
    const auto* next = memory_.executable() + position() + 4;
    return static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(data) - next);
  }

  const CodeMemory& memory_;
};

// The 4-bit encodings of conditions that are used by name (SDM 2D appendix B.1.4.7).
namespace condition {
inline constexpr unsigned kOverflow = 0, kBelow = 2, kAboveOrEqual = 3, kEqual = 4, kNotEqual = 5,
                          kBelowOrEqual = 6, kAbove = 7, kLess = 12;
}  // namespace condition

}  // namespace ringside::soft
