// Code put together by hand, for 16-, 32- and 64-bit mode, straight into a scene's memory. The
// instructions here are those that a program needs to keep itself together; all others come as
// bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ringside/x86/cpu_state.h"
#include "translator/stage.h"

namespace ringside::testing {

class CodeWriter {
 public:
  // `memory` outlives it.
  CodeWriter(std::vector<std::uint8_t>& memory, CodeMode mode, std::uint64_t at)
      : memory_(memory), mode_(mode), at_(at) {}

  CodeMode mode() const { return mode_; }
  std::uint64_t at() const { return at_; }
  void move_to(std::uint64_t at) { at_ = at; }

  void bytes(std::span<const std::uint8_t> values) {
    for (const std::uint8_t value : values)
      memory_[at_++] = value;
  }
  void bytes(std::initializer_list<std::uint8_t> values) {
    bytes(std::span(values.begin(), values.size()));
  }
  void number(std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
      memory_[at_++] = static_cast<std::uint8_t>(value >> 8 * i);
  }

  // mov reg, value
  void load(unsigned reg, std::uint64_t value);
  // mov byte or dword [address], value. Gives where the address's own bytes are.
  std::uint64_t store8(std::uint64_t address, std::uint8_t value);
  std::uint64_t store32(std::uint64_t address, std::uint32_t value);
  // xor byte [address], value
  std::uint64_t xor8(std::uint64_t address, std::uint8_t value);
  // Changes the address of one of these.
  void set_address(std::uint64_t place, std::uint64_t address);

  // A place to which the distance from its own end is to be written.
  struct Distance {
    CodeMode mode = CodeMode::Code64;
    std::uint64_t place = 0;
    unsigned size = 0;
  };
  Distance jump();
  Distance jump_if(unsigned condition);
  Distance jump_short_if(unsigned condition);
  Distance loop(unsigned kind);  // 0 LOOPNE, 1 LOOPE, 2 LOOP, 3 JCXZ: one byte of distance
  Distance call();
  // False: too far.
  bool set_target(const Distance& distance, std::uint64_t target);

 private:
  // The form of an absolute address after an opcode whose ModRM has `reg` in its middle.
  std::uint64_t absolute(unsigned reg, std::uint64_t address);
  std::uint64_t data_offset(std::uint64_t address) const;
  Distance distance(unsigned size);
  unsigned near_size() const { return mode_ == CodeMode::Code16 ? 2 : 4; }

  std::vector<std::uint8_t>& memory_;
  CodeMode mode_;
  std::uint64_t at_;
};

}  // namespace ringside::testing
