// Selectors and descriptors (SDM 3A 3.4, 3.5, chapter 5): finding them in the GDT and LDT, and
// loading segment registers with all checks. Used by transfers, delivery and system instructions,
// on the thread that runs the CPU. Everything that fails throws GuestFault before anything has
// changed.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/state/fault.h"
#include "ringside/x86/exception.h"
#include "ringside/x86/segment.h"

namespace ringside::soft {

constexpr bool is_null(std::uint16_t selector) { return (selector & ~3u) == 0; }
constexpr unsigned rpl_of(std::uint16_t selector) { return selector & 3u; }
constexpr std::uint16_t with_rpl(std::uint16_t selector, unsigned rpl) {
  return static_cast<std::uint16_t>((selector & ~3u) | rpl);
}
// The error code that names a selector (SDM 3A 6.13); `external` is its EXT bit.
constexpr std::uint32_t selector_error(std::uint16_t selector, std::uint32_t external = 0) {
  return (selector & ~3u) | external;
}

// Whether [offset, offset + size) lies within the segment, expand-down or not (SDM 3A 5.3).
constexpr bool within_limit(const x86::Segment& segment, std::uint64_t offset, unsigned size) {
  const std::uint64_t last = offset + size - 1;
  if (!segment.expand_down()) return last <= segment.limit;
  return offset > segment.limit && last <= (segment.big() ? 0xffffffffu : 0xffffu);
}

struct Descriptor {
  std::uint16_t selector = 0;
  std::uint64_t linear = 0;  // where it lies
  std::uint64_t low = 0;     // its first 8 bytes
  x86::Segment segment;      // as it would go into a register

  bool is_system(unsigned type) const {
    return !segment.is_code_or_data() && segment.type() == type;
  }
  // As a gate (SDM 3A 5.8.3).
  std::uint16_t gate_selector() const { return static_cast<std::uint16_t>(low >> 16); }
  std::uint32_t gate_offset() const {
    return static_cast<std::uint32_t>((low & 0xffff) | (low >> 32 & 0xffff0000));
  }
  unsigned gate_parameters() const { return low >> 32 & 31; }
};

// The descriptor of a selector; nothing beyond the table's limit. Null selectors are the caller's.
std::optional<Descriptor> find_descriptor(Cpu& cpu, std::uint16_t selector);
// The same; beyond the limit is `fault` with the selector.
Descriptor read_descriptor(Cpu& cpu, std::uint16_t selector,
                           x86::Vector fault = x86::Vector::GeneralProtection,
                           std::uint32_t external = 0);
// The second half of a 16-byte system descriptor: the high half of its base, or of a gate's offset.
std::uint64_t read_descriptor_high(Cpu& cpu, const Descriptor& descriptor);
// Sets the accessed bit in the table and in `descriptor` (SDM 3A 3.4.5.1).
void mark_accessed(Cpu& cpu, Descriptor& descriptor);

// A paragraph: base = selector * 16. In real mode limit and attributes stay as they are.
void load_real_segment(Cpu& cpu, x86::SegmentName name, std::uint16_t selector);
// MOV, POP and LDS & co. into any register but CS, in the present mode (SDM 2B, MOV).
void load_segment(Cpu& cpu, x86::SegmentName name, std::uint16_t selector);
// An unusable register as a null selector leaves it; `dpl` matters for SS alone.
x86::Segment null_segment(std::uint16_t selector, unsigned dpl = 0);

// The checks of a stack segment for a new privilege level, from a TSS or a return: writable data,
// RPL and DPL equal to `cpl`, present. `fault` is #TS or #GP.
Descriptor read_stack_descriptor(Cpu& cpu, std::uint16_t selector, unsigned cpl, x86::Vector fault,
                                 std::uint32_t external = 0);

// Returns to an outer privilege level take away data segments that it may not use (SDM 2A, IRET).
void drop_privileged_segments(Cpu& cpu);

}  // namespace ringside::soft
