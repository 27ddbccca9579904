// The instruction pointer as a client sees it. Debuggers know flat addresses only: outside 64-bit
// mode the address of the next instruction is the code segment's base plus RIP, and a client that
// is shown RIP alone looks at the wrong memory and takes a breakpoint's hit for none of its own.
//
// Pure functions, any thread.
#pragma once

#include <cstdint>

#include "ringside/types.h"
#include "ringside/x86/bits.h"
#include "ringside/x86/cpu_state.h"

namespace ringside::debug {

enum class PcView : std::uint8_t {
  Offset,  // RIP as the register is
  Linear,
};

// Where segment bases do not count for code (SDM 3A 3.2.4).
inline bool in_64_bit_code(const x86::CpuState& state) {
  return (state.efer & x86::efer::LMA) != 0 && state.seg(x86::SegmentName::Cs).long_mode();
}

// RIP alone is the linear address.
inline bool is_flat(const x86::CpuState& state) {
  return in_64_bit_code(state) || state.seg(x86::SegmentName::Cs).base == 0;
}

inline Gva linear_pc(const x86::CpuState& state) {
  if (in_64_bit_code(state)) return Gva{state.rip};
  // Outside 64-bit mode linear addresses are 32 bits wide (SDM 3A 3.3).
  return Gva{(state.seg(x86::SegmentName::Cs).base + state.rip) & 0xffffffff};
}

inline std::uint64_t shown_pc(const x86::CpuState& state, PcView view) {
  return view == PcView::Linear ? linear_pc(state).value : state.rip;
}

// The RIP that is shown as `shown`.
inline std::uint64_t rip_shown_as(const x86::CpuState& state, PcView view, std::uint64_t shown) {
  if (view == PcView::Offset || is_flat(state)) return shown;
  return (shown - state.seg(x86::SegmentName::Cs).base) & 0xffffffff;
}

}  // namespace ringside::debug
