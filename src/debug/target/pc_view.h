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
#include "x86/linear_address.h"

namespace ringside::debug {

enum class PcView : std::uint8_t {
  Offset,  // RIP as the register is
  Linear,
};

// RIP alone is the linear address.
inline bool is_flat(const x86::CpuState& state) {
  return x86::in_64_bit_mode(state) || state.seg(x86::SegmentName::Cs).base == 0;
}

inline std::uint64_t shown_pc(const x86::CpuState& state, PcView view) {
  return view == PcView::Linear ? x86::linear_pc(state).value : state.rip;
}

// The RIP that is shown as `shown`.
inline std::uint64_t rip_shown_as(const x86::CpuState& state, PcView view, std::uint64_t shown) {
  if (view == PcView::Offset || is_flat(state)) return shown;
  return x86::segmented_address(0 - state.seg(x86::SegmentName::Cs).base, shown);
}

}  // namespace ringside::debug
