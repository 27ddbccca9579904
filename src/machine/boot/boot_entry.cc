#include "machine/boot/boot_entry.h"

#include <array>

namespace ringside::machine {
namespace {

using x86::SegmentName;

constexpr std::uint64_t kCode32 = 0x00cf9b000000ffff, kData32 = 0x00cf93000000ffff,
                        kCode64 = 0x00af9b000000ffff;
// A task register must name a TSS on CPUs that check it; nothing ever switches to this one.
constexpr std::uint16_t kBootTss = 0x20;

// One page: the descriptor table, then an empty TSS. The segment registers are loaded from it, so
// that a kernel that reloads the same selectors finds the same segments.
Result<x86::CpuState> with_segments(BootMemory& memory, std::uint64_t code) {
  constexpr std::uint64_t kTssOffset = 0x80, kTssLimit = 0x67;
  const Gpa page = TRY(memory.place_low(kPageSize, kLowMemory, "the boot descriptor table"));
  const std::uint64_t tss = page.value + kTssOffset;
  const std::array<std::uint64_t, 6> table = {
      0, 0, code, kData32, kTssLimit | (tss & 0xffffff) << 16 | 0x8bull << 40, 0};
  memory.write(page, std::as_bytes(std::span(table)));

  x86::CpuState state = x86::reset_state();
  state.gdtr = {page.value, sizeof table - 1};
  state.idtr = {0, 0};
  for (const SegmentName name :
       {SegmentName::Es, SegmentName::Ss, SegmentName::Ds, SegmentName::Fs, SegmentName::Gs}) {
    state.seg(name) = x86::segment_from_descriptor(kBootData, kData32);
  }
  state.seg(SegmentName::Cs) = x86::segment_from_descriptor(kBootCode, code);
  state.tr = x86::segment_from_descriptor(kBootTss, table[kBootTss / 8]);
  state.reg(x86::Gpr::Rsp) = page.value + kPageSize;
  return state;
}

// SDM 3A 4.5: a PML4, a page-directory-pointer table and four page directories of 2 MiB pages.
Result<Gpa> identity_map(BootMemory& memory) {
  constexpr unsigned kDirectories = 4, kEntries = 512;
  constexpr std::uint64_t kPresentWritable = 3, kLargePage = 0x80;
  const Gpa tables =
      TRY(memory.place_low((2 + kDirectories) * kPageSize, kLowMemory, "the boot page tables"));
  const Gpa pointers = tables + kPageSize, directories = tables + 2 * kPageSize;
  std::vector<std::uint64_t> entries((2 + kDirectories) * kEntries);
  entries[0] = pointers.value | kPresentWritable;
  for (std::uint64_t i = 0; i < kDirectories; ++i) {
    entries[kEntries + i] = (directories.value + i * kPageSize) | kPresentWritable;
  }
  for (std::uint64_t i = 0; i < kDirectories * kEntries; ++i) {
    entries[2 * kEntries + i] = i << 21 | kLargePage | kPresentWritable;
  }
  memory.write(tables, std::as_bytes(std::span(entries)));
  return tables;
}

}  // namespace

Result<x86::CpuState> enter_32bit(BootMemory& memory, std::uint64_t rip) {
  x86::CpuState state = TRY(with_segments(memory, kCode32));
  state.rip = rip;
  state.cr0 = x86::cr0::PE | x86::cr0::ET;
  return state;
}

Result<x86::CpuState> enter_64bit(BootMemory& memory, std::uint64_t rip) {
  x86::CpuState state = TRY(with_segments(memory, kCode64));
  state.rip = rip;
  state.cr3 = TRY(identity_map(memory)).value;
  state.cr4 = x86::cr4::PAE;
  state.efer = x86::efer::LME | x86::efer::LMA;
  state.cr0 = x86::cr0::PE | x86::cr0::ET | x86::cr0::PG;
  return state;
}

}  // namespace ringside::machine
