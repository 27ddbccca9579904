#include "machine/waking_vector.h"

#include <cstring>

#include "machine/bus/platform_map.h"

namespace ringside::machine {
namespace {

using x86::SegmentName;

constexpr std::uint64_t kFacsSize = 64, kVector = 12, kLongVector = 24;

template <typename T>
T field(const std::uint8_t* table, std::uint64_t offset) {
  T value;
  std::memcpy(&value, table + offset, sizeof value);
  return value;
}

// Real mode: the vector is below 1 MiB.
x86::CpuState real_mode(std::uint32_t vector) {
  x86::CpuState state = x86::reset_state();
  x86::Segment& code = state.seg(SegmentName::Cs);
  code.selector = static_cast<std::uint16_t>(vector >> 4);
  code.base = std::uint64_t{code.selector} << 4;
  state.rip = vector & 0xf;
  return state;
}

// Flat segments without paging. The guest has a descriptor table of its own.
x86::CpuState protected_mode(std::uint64_t vector) {
  constexpr std::uint64_t kCode = 0x00cf9b000000ffff, kData = 0x00cf93000000ffff;
  x86::CpuState state = x86::reset_state();
  state.cr0 |= x86::cr0::PE;
  state.seg(SegmentName::Cs) = x86::segment_from_descriptor(0x10, kCode);
  for (const SegmentName name :
       {SegmentName::Es, SegmentName::Ss, SegmentName::Ds, SegmentName::Fs, SegmentName::Gs})
    state.seg(name) = x86::segment_from_descriptor(0x18, kData);
  state.rip = vector;
  return state;
}

}  // namespace

std::optional<x86::CpuState> waking_state(const hypervisor::GuestRam& ram) {
  const std::uint8_t* const facs = ram.host(kFacs, kFacsSize);
  if (facs == nullptr || std::memcmp(facs, "FACS", 4) != 0) return std::nullopt;
  constexpr std::uint64_t kFourGigabytes = std::uint64_t{1} << 32, kMegabyte = 1u << 20;
  const auto longer = field<std::uint64_t>(facs, kLongVector);
  if (longer != 0 && longer < kFourGigabytes) return protected_mode(longer);
  const auto vector = field<std::uint32_t>(facs, kVector);
  if (vector == 0 || vector >= kMegabyte) return std::nullopt;
  return real_mode(vector);
}

}  // namespace ringside::machine
