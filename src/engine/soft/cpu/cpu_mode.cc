// What follows from the mode: privilege, widths, and how a segmented address becomes linear.
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/segments.h"

namespace ringside::soft {

using x86::SegmentName;
using x86::Vector;

void Cpu::update_mode() {
  if (!protected_mode()) {
    cpl_ = 0;
  } else if (virtual_8086()) {
    cpl_ = 3;
  }
  const x86::Segment& cs = seg(SegmentName::Cs);
  if (x86::in_64_bit_mode(efer, cs)) {
    code_width_ = stack_width_ = Width::Bits64;
  } else {
    code_width_ = cs.big() ? Width::Bits32 : Width::Bits16;
    stack_width_ = seg(SegmentName::Ss).big() ? Width::Bits32 : Width::Bits16;
  }
  stack_mask_ = kWidthMask[static_cast<unsigned>(stack_width_)];
  canonical_shift_ = (cr4 & x86::cr4::LA57) != 0 ? 7 : 16;
  const Privilege before = privilege_;
  privilege_ = privilege_at(cpl_);
  frame.data = &tlb_.entry(privilege_, 0);
  frame.fetch = fetch_entries_[is_user(privilege_) ? 1 : 0].data();
  if (is_user(privilege_) != is_user(before)) forget_fetch_page();
  if (catches_privilege_) [[unlikely]]
    note_privilege();
}

std::uint8_t Cpu::use_of(SegmentName name) const {
  if (!code64()) return static_cast<std::uint8_t>(name);
  switch (name) {
    case SegmentName::Fs:
      return segment_use::kFs64;
    case SegmentName::Gs:
      return segment_use::kGs64;
    case SegmentName::Ss:
      return segment_use::kFlatStack;
    default:
      return segment_use::kFlat;
  }
}

std::uint64_t Cpu::segmented_slow(std::uint8_t use, std::uint64_t offset, unsigned size,
                                  AccessKind kind) const {
  switch (use) {
    case segment_use::kFlat:
      return offset;
    case segment_use::kFlatStack:
      // The translation would call it #GP (SDM 1 3.3.7.1).
      if (!canonical(offset) || !canonical(offset + size - 1)) raise(Vector::StackFault, 0);
      return offset;
    case segment_use::kFs64:
      return seg(SegmentName::Fs).base + offset;
    case segment_use::kGs64:
      return seg(SegmentName::Gs).base + offset;
    default:
      break;
  }
  const x86::Segment& s = segment[use];
  const Vector fault = use == static_cast<std::uint8_t>(SegmentName::Ss)
                           ? Vector::StackFault
                           : Vector::GeneralProtection;
  if (!real_addressing()) {
    if (s.unusable()) raise(fault, 0);
    // SDM 3A 5.5.
    if (kind == AccessKind::Write ? !s.writable() : !s.readable()) {
      raise(Vector::GeneralProtection, 0);
    }
  }
  if (!within_limit(s, offset, size)) raise(fault, 0);
  return x86::segmented_address(s.base, offset);
}

}  // namespace ringside::soft
