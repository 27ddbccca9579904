// Segment registers with their hidden part, and descriptors as they lie in the GDT, LDT and IDT
// (SDM volume 3A sections 3.4 and 3.5).
#pragma once

#include <cstdint>

namespace ringside::x86 {

// The order of the architecture's sreg encoding.
enum class SegmentName : std::uint8_t { Es, Cs, Ss, Ds, Fs, Gs };

struct Segment {
  std::uint16_t selector = 0;
  // Bits 40..55 of the descriptor: type(4) S DPL(2) P limit(4, kept as 0) AVL L D/B G.
  std::uint16_t attributes = 0;
  // In bytes, granularity applied.
  std::uint32_t limit = 0xffff;
  std::uint64_t base = 0;

  constexpr unsigned type() const { return attributes & 15; }
  constexpr bool is_code_or_data() const { return (attributes & 0x10) != 0; }
  constexpr unsigned dpl() const { return (attributes >> 5) & 3; }
  constexpr bool present() const { return (attributes & 0x80) != 0; }
  constexpr bool long_mode() const { return (attributes & 0x2000) != 0; }
  constexpr bool big() const { return (attributes & 0x4000) != 0; }
  constexpr bool granular() const { return (attributes & 0x8000) != 0; }
  constexpr bool is_code() const { return (attributes & 0x18) == 0x18; }
  constexpr bool conforming() const { return (attributes & 0x1c) == 0x1c; }
  constexpr bool readable() const { return !is_code() || (attributes & 2) != 0; }
  constexpr bool writable() const { return !is_code() && (attributes & 2) != 0; }
  constexpr bool expand_down() const { return !is_code() && (attributes & 4) != 0; }
  // A null selector was loaded, or a return to an outer ring cleared it.
  constexpr bool unusable() const { return !present(); }
};

struct TableRegister {
  std::uint64_t base = 0;
  std::uint16_t limit = 0xffff;
};

// Types of system descriptors (SDM 3A table 3-2).
namespace system_type {
inline constexpr unsigned kTss16 = 1, kLdt = 2, kTss16Busy = 3, kCallGate16 = 4, kTaskGate = 5,
                          kInterruptGate16 = 6, kTrapGate16 = 7, kTss = 9, kTssBusy = 11,
                          kCallGate = 12, kInterruptGate = 14, kTrapGate = 15;
}

// The hidden part from the 8 bytes of a code, data or (low half of a) system descriptor.
constexpr Segment segment_from_descriptor(std::uint16_t selector, std::uint64_t descriptor) {
  Segment segment;
  segment.selector = selector;
  segment.base = ((descriptor >> 16) & 0xffffff) | ((descriptor >> 56) << 24);
  segment.attributes = static_cast<std::uint16_t>((descriptor >> 40) & 0xf0ff);
  const auto limit =
      static_cast<std::uint32_t>((descriptor & 0xffff) | ((descriptor >> 32) & 0xf0000));
  segment.limit = segment.granular() ? (limit << 12 | 0xfff) : limit;
  return segment;
}

inline constexpr std::uint16_t kAttributesCode64 = 0xa09b, kAttributesCode32 = 0xc09b,
                               kAttributesData32 = 0xc093, kAttributesCode16 = 0x009b,
                               kAttributesData16 = 0x0093, kAttributesTss64Busy = 0x008b,
                               kAttributesLdt = 0x0082;
// Of every segment in virtual-8086 mode (SDM 3B 20.2.1).
inline constexpr std::uint16_t kAttributes8086 = 0x00f3;

}  // namespace ringside::x86
