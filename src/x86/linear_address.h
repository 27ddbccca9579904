// The mode that a processor executes in, and how an address in a segment becomes linear. The one
// place that says so; whoever keeps such a fact in a faster form derives it from here.
//
// Pure functions, any thread.
#pragma once

#include <cstdint>

#include "ringside/types.h"
#include "ringside/x86/bits.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::x86 {

// IA-32e mode: 64-bit mode or compatibility mode (SDM 3A 2.2.1).
constexpr bool in_long_mode(std::uint64_t efer) { return (efer & efer::LMA) != 0; }
inline bool in_long_mode(const CpuState& state) { return in_long_mode(state.efer); }

// 64-bit mode is IA-32e mode with CS.L set. CS.L alone says nothing: outside IA-32e mode the bit is
// ignored (SDM 3A 3.4.5).
constexpr bool in_64_bit_mode(std::uint64_t efer, const Segment& cs) {
  return in_long_mode(efer) && cs.long_mode();
}
inline bool in_64_bit_mode(const CpuState& state) {
  return in_64_bit_mode(state.efer, state.seg(SegmentName::Cs));
}

// Outside 64-bit mode: linear addresses are 32 bits wide, and a sum beyond wraps round (SDM
// 3A 3.3).
constexpr std::uint64_t segmented_address(std::uint64_t base, std::uint64_t offset) {
  return (base + offset) & 0xffffffff;
}

// The linear address of the next instruction. In 64-bit mode the base of CS counts as zero (SDM 3A
// 3.2.4).
inline Gva linear_pc(const CpuState& state) {
  if (in_64_bit_mode(state)) return Gva{state.rip};
  return Gva{segmented_address(state.seg(SegmentName::Cs).base, state.rip)};
}

}  // namespace ringside::x86
