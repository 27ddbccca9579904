#include "x86/cpu_state.h"

namespace ringside::x86 {

CpuState reset_state() {
  CpuState state;
  for (Segment& segment : state.segment) segment.attributes = kAttributesData16;
  state.seg(SegmentName::Cs) = {0xf000, kAttributesCode16, 0xffff, 0xffff0000};
  state.ldtr = {0, kAttributesLdt, 0xffff, 0};
  state.tr = {0, kAttributesTss64Busy, 0xffff, 0};
  return state;
}

}  // namespace ringside::x86
