// The 512 bytes of FXSAVE (SDM 1 table 10-2), with which an XSAVE area begins, too. Plain functions
// of values: who reads and writes guest memory is above.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "engine/soft/instructions/x87/x87.h"
#include "engine/soft/state/fpu.h"

namespace ringside::soft::fxsave_image {

inline constexpr std::uint32_t kMxcsrMask = 0xffff;
inline constexpr unsigned kSize = 512, kMxcsr = 24, kX87Registers = 32, kXmmRegisters = 160;
inline constexpr unsigned kXmmEnd = kXmmRegisters + 16 * 16;

using Area = std::array<std::uint8_t, kSize>;

template <typename T>
void put(Area& area, unsigned offset, T value) {
  std::memcpy(area.data() + offset, &value, sizeof(T));
}
template <typename T>
T take(const Area& area, unsigned offset) {
  T value;
  std::memcpy(&value, area.data() + offset, sizeof(T));
  return value;
}

// How instruction and data pointers are kept: with REX.W without selectors.
enum class Pointers { Offset32WithSelector, Offset64 };

template <Pointers kPointers>
Area of(const Fpu& fpu) {
  Area area{};
  put(area, 0, fpu.control);
  put(area, 2, fpu.status);
  put(area, 4, static_cast<std::uint8_t>(~fpu.empty));
  put(area, 6, fpu.opcode);
  if constexpr (kPointers == Pointers::Offset64) {
    put(area, 8, fpu.instruction_pointer);
    put(area, 16, fpu.data_pointer);
  } else {
    put(area, 8, static_cast<std::uint32_t>(fpu.instruction_pointer));
    put(area, 12, fpu.instruction_selector);
    put(area, 16, static_cast<std::uint32_t>(fpu.data_pointer));
    put(area, 20, fpu.data_selector);
  }
  put(area, kMxcsr, fpu.mxcsr);
  put(area, kMxcsr + 4, kMxcsrMask);
  for (unsigned i = 0; i < 8; ++i) {
    put(area, kX87Registers + 16 * i, fpu.st(i).significand);
    put(area, kX87Registers + 16 * i + 8, fpu.st(i).sign_exponent);
  }
  for (unsigned i = 0; i < 16; ++i)
    put(area, kXmmRegisters + 16 * i, fpu.xmm[i]);
  return area;
}

// The x87 part of it.
template <Pointers kPointers>
void restore_x87(Fpu& fpu, const Area& area) {
  fpu.control = x87::control_word(take<std::uint16_t>(area, 0));
  fpu.status = take<std::uint16_t>(area, 2);
  fpu.empty = static_cast<std::uint8_t>(~take<std::uint8_t>(area, 4));
  fpu.opcode = take<std::uint16_t>(area, 6) & x87::kOpcodeMask;
  if constexpr (kPointers == Pointers::Offset64) {
    fpu.instruction_pointer = take<std::uint64_t>(area, 8);
    fpu.data_pointer = take<std::uint64_t>(area, 16);
    fpu.instruction_selector = fpu.data_selector = 0;
  } else {
    fpu.instruction_pointer = take<std::uint32_t>(area, 8);
    fpu.instruction_selector = take<std::uint16_t>(area, 12);
    fpu.data_pointer = take<std::uint32_t>(area, 16);
    fpu.data_selector = take<std::uint16_t>(area, 20);
  }
  for (unsigned i = 0; i < 8; ++i) {
    fpu.st(i) = {take<std::uint64_t>(area, kX87Registers + 16 * i),
                 take<std::uint16_t>(area, kX87Registers + 16 * i + 8)};
  }
  x87::update_summary(fpu);
}
inline void restore_xmm(Fpu& fpu, const Area& area, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    fpu.xmm[i] = take<Xmm>(area, kXmmRegisters + 16 * i);
}

}  // namespace ringside::soft::fxsave_image
