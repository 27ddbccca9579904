// What a segment register becomes when somebody from outside, a debugger, writes a selector into
// it: what the processor would load in the mode that the state is in (SDM 3A 3.4.3, 5.4 to 5.8), or
// in words why it would not. Pure functions over a CpuState; descriptors come through a callback,
// and the tables stay as they are: neither an accessed nor a busy bit is set in memory, only in the
// hidden part, where the processor wants them.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ringside/types.h"
#include "ringside/x86/cpu_state.h"
#include "ringside/x86/segment.h"

namespace ringside::x86 {

// Reads the 8 bytes at a linear address, as a supervisor and without side effects.
class DescriptorReader {
 public:
  virtual ~DescriptorReader() = default;
  virtual Result<std::uint64_t> read_descriptor(Gva address) = 0;
};

// Real mode or virtual-8086 mode: the base is the selector times 16.
bool has_paragraphs(const CpuState& state);
// CPL: that of SS, 0 in real mode, 3 in virtual-8086 mode.
unsigned privilege_level(const CpuState& state);

// Into CS, SS, DS, ES, FS or GS, at privilege level `cpl`. Of CS the selector says it itself: as a
// return to that level would.
Result<void> load_selector(CpuState& state, SegmentName name, std::uint16_t selector, unsigned cpl,
                           DescriptorReader& tables);
Result<void> load_local_table(CpuState& state, std::uint16_t selector, DescriptorReader& tables);
Result<void> load_task(CpuState& state, std::uint16_t selector, DescriptorReader& tables);
// All six at once, as a return to virtual-8086 mode does (SDM 3B 20.2.5).
void make_paragraphs(CpuState& state);

}  // namespace ringside::x86
