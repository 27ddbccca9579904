#include "engine/soft/cpu/segments.h"

namespace ringside::soft {

using x86::Segment;
using x86::SegmentName;
using x86::Vector;

namespace {

constexpr std::uint16_t kTableIndicator = 4;
constexpr std::uint64_t kAccessedBit = 1ull << 40;

// SDM 2B, MOV: readable, and unless conforming code, DPL >= max(CPL, RPL).
void check_data_descriptor(const Cpu& cpu, const Descriptor& d) {
  const Segment& s = d.segment;
  if (!s.is_code_or_data() || !s.readable()) {
    raise(Vector::GeneralProtection, selector_error(d.selector));
  }
  if (!s.conforming() && (rpl_of(d.selector) > s.dpl() || cpu.cpl() > s.dpl())) {
    raise(Vector::GeneralProtection, selector_error(d.selector));
  }
  if (!s.present()) raise(Vector::SegmentNotPresent, selector_error(d.selector));
}

void load_stack_segment(Cpu& cpu, std::uint16_t selector) {
  if (is_null(selector)) {
    // Only 64-bit code below ring 3 may do without (SDM 3A 5.4.1.1).
    if (!cpu.code64() || cpu.cpl() == 3 || rpl_of(selector) != cpu.cpl()) {
      raise(Vector::GeneralProtection, 0);
    }
    cpu.seg(SegmentName::Ss) = null_segment(selector, cpu.cpl());
  } else {
    Descriptor d = read_stack_descriptor(cpu, selector, cpu.cpl(), Vector::GeneralProtection);
    mark_accessed(cpu, d);
    cpu.seg(SegmentName::Ss) = d.segment;
  }
  cpu.update_mode();
}

}  // namespace

std::optional<Descriptor> find_descriptor(Cpu& cpu, std::uint16_t selector) {
  std::uint64_t base = cpu.gdtr.base;
  std::uint64_t limit = cpu.gdtr.limit;
  if ((selector & kTableIndicator) != 0) {
    if (cpu.ldtr.unusable()) return std::nullopt;
    base = cpu.ldtr.base;
    limit = cpu.ldtr.limit;
  }
  const std::uint64_t offset = selector & ~7u;
  if (offset + 7 > limit) return std::nullopt;
  Descriptor d;
  d.selector = selector;
  d.linear = base + offset;
  if (!cpu.long_mode()) d.linear &= 0xffffffff;
  d.low = cpu.load_system<std::uint64_t>(d.linear);
  d.segment = x86::segment_from_descriptor(selector, d.low);
  return d;
}

Descriptor read_descriptor(Cpu& cpu, std::uint16_t selector, Vector fault, std::uint32_t external) {
  const std::optional<Descriptor> found = find_descriptor(cpu, selector);
  if (!found) raise(fault, selector_error(selector, external));
  return *found;
}

std::uint64_t read_descriptor_high(Cpu& cpu, const Descriptor& descriptor) {
  const bool local = (descriptor.selector & kTableIndicator) != 0;
  const std::uint64_t limit = local ? cpu.ldtr.limit : cpu.gdtr.limit;
  if ((descriptor.selector & ~7u) + 15ull > limit) {
    raise(Vector::GeneralProtection, selector_error(descriptor.selector));
  }
  return cpu.load_system<std::uint64_t>(descriptor.linear + 8);
}

void mark_accessed(Cpu& cpu, Descriptor& descriptor) {
  if ((descriptor.low & kAccessedBit) != 0) return;
  descriptor.low |= kAccessedBit;
  descriptor.segment.attributes |= 1;
  const auto access_byte = static_cast<std::uint8_t>(descriptor.low >> 40);
  cpu.store_system<std::uint8_t>(descriptor.linear + 5, access_byte);
}

void load_real_segment(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  Segment& s = cpu.seg(name);
  s.selector = selector;
  s.base = static_cast<std::uint64_t>(selector) << 4;
  if (cpu.virtual_8086()) {  // SDM 3B 20.2.1
    s.limit = 0xffff;
    s.attributes = 0xf3;
  }
}

Segment null_segment(std::uint16_t selector, unsigned dpl) {
  return {selector, static_cast<std::uint16_t>(dpl << 5), 0, 0};
}

void load_segment(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  if (cpu.real_addressing()) {
    load_real_segment(cpu, name, selector);
    return;
  }
  if (name == SegmentName::Ss) {
    load_stack_segment(cpu, selector);
    return;
  }
  if (is_null(selector)) {
    cpu.seg(name) = null_segment(selector);
    return;
  }
  Descriptor d = read_descriptor(cpu, selector);
  check_data_descriptor(cpu, d);
  mark_accessed(cpu, d);
  cpu.seg(name) = d.segment;
}

Descriptor read_stack_descriptor(Cpu& cpu, std::uint16_t selector, unsigned cpl, Vector fault,
                                 std::uint32_t external) {
  const Descriptor d = read_descriptor(cpu, selector, fault, external);
  const Segment& s = d.segment;
  if (rpl_of(selector) != cpl || !s.is_code_or_data() || !s.writable() || s.dpl() != cpl) {
    raise(fault, selector_error(selector, external));
  }
  if (!s.present()) raise(Vector::StackFault, selector_error(selector, external));
  return d;
}

void drop_privileged_segments(Cpu& cpu) {
  for (const SegmentName name :
       {SegmentName::Es, SegmentName::Ds, SegmentName::Fs, SegmentName::Gs}) {
    Segment& s = cpu.seg(name);
    if (is_null(s.selector) || s.conforming() || s.dpl() >= cpu.cpl()) continue;
    s.selector = 0;
    s.attributes = 0;  // the base stays: 64-bit code reaches FS and GS through it
  }
}

}  // namespace ringside::soft
