#include "ringside/x86/cpu_state.h"

namespace ringside::x86 {

CpuState reset_state(std::uint32_t signature) {
  CpuState state;
  state.reg(Gpr::Rdx) = signature;
  for (Segment& segment : state.segment)
    segment.attributes = kAttributesData16;
  state.seg(SegmentName::Cs) = {0xf000, kAttributesCode16, 0xffff, 0xffff0000};
  state.ldtr = {0, kAttributesLdt, 0xffff, 0};
  state.tr = {0, kAttributesTss64Busy, 0xffff, 0};
  return state;
}

CpuState init_state(const CpuState& before, std::uint32_t signature) {
  constexpr std::uint64_t kCaching = cr0::CD | cr0::NW;
  CpuState state = before;
  const CpuState fresh = reset_state(signature);
  state.gpr = fresh.gpr;
  state.rip = fresh.rip;
  state.rflags = fresh.rflags;
  state.segment = fresh.segment;
  state.ldtr = fresh.ldtr;
  state.tr = fresh.tr;
  state.gdtr = fresh.gdtr;
  state.idtr = fresh.idtr;
  state.cr0 = (fresh.cr0 & ~kCaching) | (before.cr0 & kCaching);
  state.cr2 = fresh.cr2;
  state.cr3 = fresh.cr3;
  state.cr4 = fresh.cr4;
  state.cr8 = fresh.cr8;
  state.efer = fresh.efer;
  state.dr = fresh.dr;
  state.dr6 = fresh.dr6;
  state.dr7 = fresh.dr7;
  return state;
}

Segment start_up_segment(Segment before, std::uint8_t vector) {
  before.selector = static_cast<std::uint16_t>(vector << 8);
  before.base = std::uint64_t{vector} << 12;
  return before;
}

}  // namespace ringside::x86
