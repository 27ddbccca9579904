// x87, MMX, SSE and AVX state of one software CPU. Plain data; semantics are in the x87 and sse
// families.
#pragma once

#include <array>
#include <cstdint>

#include "base/state_visitor.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::soft {

struct alignas(16) Xmm {
  std::array<std::uint8_t, 16> bytes{};
};

// An 80-bit extended value: 64-bit significand, sign and exponent.
struct X87Value {
  std::uint64_t significand = 0;
  std::uint16_t sign_exponent = 0;
};

struct Fpu {
  std::uint16_t control = x86::kFpuControlInit;
  std::uint16_t status = 0;  // TOP is kept in bits 11..13
  // One bit per physical register: 1 = empty (the abridged tag inverted).
  std::uint8_t empty = 0xff;
  std::uint16_t opcode = 0;
  std::uint64_t instruction_pointer = 0, data_pointer = 0;
  std::uint16_t instruction_selector = 0, data_selector = 0;
  std::array<X87Value, 8> physical{};  // by physical register, not by stack position
  std::uint32_t mxcsr = x86::kMxcsrReset;
  std::array<Xmm, 16> xmm{};       // the lower halves of YMM0 to YMM15,
  std::array<Xmm, 16> ymm_high{};  // and the upper ones

  unsigned top() const { return (status >> 11) & 7; }
  void set_top(unsigned top) {
    status = static_cast<std::uint16_t>((status & ~(7u << 11)) | (top & 7) << 11);
  }
  X87Value& st(unsigned position) { return physical[(top() + position) & 7]; }
  const X87Value& st(unsigned position) const { return physical[(top() + position) & 7]; }

  void visit_state(StateVisitor& visitor) {
    visitor.fields(control, status, empty, opcode, instruction_pointer, data_pointer,
                   instruction_selector, data_selector, mxcsr);
    for (X87Value& value : physical)
      visitor.fields(value.significand, value.sign_exponent);
    for (Xmm& value : xmm)
      visitor.field(value.bytes);
    for (Xmm& value : ymm_high)
      visitor.field(value.bytes);
  }
};

}  // namespace ringside::soft
