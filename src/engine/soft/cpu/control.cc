#include "engine/soft/cpu/control.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/state/fault.h"
#include "engine/soft/state/xstate.h"

namespace ringside::soft {
namespace {

namespace cr0 = x86::cr0;
namespace cr4 = x86::cr4;
namespace efer = x86::efer;

constexpr std::uint64_t kCr0Writable = cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::NE | cr0::WP |
                                       cr0::AM | cr0::NW | cr0::CD | cr0::PG;
// What CPUID announces. VME and PVI are not implemented.
constexpr std::uint64_t kCr4OfV2 = cr4::TSD | cr4::DE | cr4::PSE | cr4::PAE | cr4::MCE | cr4::PGE |
                                   cr4::PCE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::UMIP |
                                   cr4::LA57 | cr4::FSGSBASE | cr4::PCIDE | cr4::SMEP | cr4::SMAP;
std::uint64_t cr4_writable(const Cpu& cpu) {
  return cpu.board().processor == Processor::V3 ? kCr4OfV2 | cr4::OSXSAVE | cr4::PKE : kCr4OfV2;
}
// Bits whose change invalidates translations (SDM 3A 4.10.4.1); PKE, because ours have no keys.
constexpr std::uint64_t kCr0Paging = cr0::PG | cr0::WP | cr0::PE;
constexpr std::uint64_t kCr4Paging =
    cr4::PSE | cr4::PAE | cr4::PGE | cr4::PCIDE | cr4::SMEP | cr4::SMAP | cr4::LA57 | cr4::PKE;
constexpr std::uint64_t kEferWritable = efer::SCE | efer::LME | efer::NXE;
constexpr std::uint64_t kPcidMask = 0xfff;

[[noreturn]] void refuse() { raise(x86::Vector::GeneralProtection, 0); }

bool pae_paging(std::uint64_t cr0_value, std::uint64_t cr4_value, std::uint64_t efer_value) {
  return (cr0_value & cr0::PG) != 0 && (cr4_value & cr4::PAE) != 0 && (efer_value & efer::LME) == 0;
}

using Pdptes = std::array<std::uint64_t, 4>;

// Where there is no memory they read as not present.
Pdptes unchecked_pdptes(Cpu& cpu, std::uint64_t cr3_value) {
  Pdptes pdptes{};
  cpu.board().read_entry({cr3_value & 0xffffffe0}, pdptes.data(), sizeof pdptes);
  return pdptes;
}

// SDM 3A 4.4.1: a present PDPTE with a reserved bit refuses the load.
Pdptes read_pdptes(Cpu& cpu, std::uint64_t cr3_value) {
  constexpr std::uint64_t kReserved = ~((std::uint64_t{1} << kPhysicalAddressBits) - 1) | 0x1e6;
  const Pdptes pdptes = unchecked_pdptes(cpu, cr3_value);
  for (const std::uint64_t entry : pdptes) {
    if ((entry & 1) != 0 && (entry & kReserved) != 0) refuse();
  }
  return pdptes;
}

}  // namespace

void write_cr0(Cpu& cpu, std::uint64_t value) {
  if (value >> 32 != 0) refuse();
  value = (value & kCr0Writable) | cr0::ET;
  const bool paging = (value & cr0::PG) != 0;
  if (paging && (value & cr0::PE) == 0) refuse();
  if ((value & cr0::NW) != 0 && (value & cr0::CD) == 0) refuse();
  const std::uint64_t changed = value ^ cpu.cr0;
  std::uint64_t new_efer = cpu.efer;
  if ((changed & cr0::PG) != 0 && (cpu.efer & efer::LME) != 0) {
    if (paging) {  // SDM 3A 9.8.5
      const x86::Segment& cs = cpu.seg(x86::SegmentName::Cs);
      if ((cpu.cr4 & cr4::PAE) == 0 || cs.long_mode()) refuse();
      const unsigned task = cpu.tr.type();
      if (task == x86::system_type::kTss16 || task == x86::system_type::kTss16Busy) refuse();
      new_efer |= efer::LMA;
    } else {
      if (cpu.code64()) refuse();
      new_efer &= ~efer::LMA;
    }
  }
  if (!paging && (cpu.cr4 & cr4::PCIDE) != 0) refuse();
  constexpr std::uint64_t kReloads = cr0::PG | cr0::CD | cr0::NW;
  if ((changed & kReloads) != 0 && pae_paging(value, cpu.cr4, cpu.efer)) {
    cpu.pdpte = read_pdptes(cpu, cpu.cr3);
  }
  cpu.cr0 = value;
  cpu.efer = new_efer;
  cpu.update_mode();
  if ((changed & kCr0Paging) != 0) cpu.flush_tlb();
  cpu.leave_soon();
}

void write_cr3(Cpu& cpu, std::uint64_t value) {
  constexpr std::uint64_t kKeepTranslations = std::uint64_t{1} << 63;
  const Tlb::Known known =
      (value & kKeepTranslations) != 0 ? Tlb::Known::Kept : Tlb::Known::Dropped;
  if (cpu.long_mode()) {
    // Bit 63 with PCIDs asks to keep translations (SDM 3A 4.10.4.1).
    if ((cpu.cr4 & cr4::PCIDE) != 0) value &= ~kKeepTranslations;
    if (value >> kPhysicalAddressBits != 0) refuse();
  } else {
    value &= 0xffffffff;
    if (pae_paging(cpu.cr0, cpu.cr4, cpu.efer)) cpu.pdpte = read_pdptes(cpu, value);
  }
  cpu.cr3 = value;
  if ((cpu.cr4 & cr4::PCIDE) != 0) {
    cpu.enter_address_space(known);
  } else {
    cpu.flush_tlb();
  }
  cpu.leave_soon();
}

void write_cr4(Cpu& cpu, std::uint64_t value) {
  if ((value & ~cr4_writable(cpu)) != 0) refuse();
  const std::uint64_t changed = value ^ cpu.cr4;
  if (cpu.long_mode() && ((value & cr4::PAE) == 0 || (changed & cr4::LA57) != 0)) refuse();
  if ((changed & value & cr4::PCIDE) != 0 && (!cpu.long_mode() || (cpu.cr3 & kPcidMask) != 0)) {
    refuse();
  }
  constexpr std::uint64_t kReloads = cr4::PAE | cr4::PGE | cr4::PSE | cr4::SMEP;
  if ((changed & kReloads) != 0 && pae_paging(cpu.cr0, value, cpu.efer)) {
    cpu.pdpte = read_pdptes(cpu, cpu.cr3);
  }
  cpu.cr4 = value;
  cpu.update_mode();
  if ((changed & kCr4Paging) != 0) cpu.flush_tlb();
  cpu.leave_soon();
}

void write_cr8(Cpu& cpu, std::uint64_t value) {
  if (value > 15) refuse();
  cpu.board().platform.set_task_priority(cpu.id(), static_cast<std::uint8_t>(value));
  cpu.leave_soon();
}

namespace {

// What XSETBV would refuse, upper halves of registers that end at 128 bits, and rights without
// keys.
std::optional<std::string> unknown_vectors(const Cpu& cpu, const x86::CpuState& state) {
  const bool has_v3 = cpu.board().processor == Processor::V3;
  if (state.xcr0 != cpu.xcr0 && (!has_v3 || !xstate::is_valid(state.xcr0)))
    return fmt::format("this processor's xcr0 cannot be {:#x}", state.xcr0);
  const auto has_upper_half = [](const auto& value) {
    return std::any_of(value.begin() + sizeof(Xmm), value.end(),
                       [](auto byte) { return byte != 0; });
  };
  if (!has_v3 && std::ranges::any_of(state.fpu.vector, has_upper_half))
    return "this processor has no ymm registers; --cpu v3 has them";
  if (!has_v3 && state.pkru != 0) return "this processor has no protection keys; --cpu v3 has them";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> unknown_bits(const Cpu& cpu, const x86::CpuState& state) {
  const auto unknown = [](const char* name, std::uint64_t now, std::uint64_t wanted,
                          std::uint64_t known) -> std::optional<std::string> {
    const std::uint64_t bits = wanted & ~now & ~known;
    if (bits == 0) return std::nullopt;
    return fmt::format("this processor's {} has no bits {:#x}", name, bits);
  };
  if (auto why = unknown("cr4", cpu.cr4, state.cr4, cr4_writable(cpu))) return why;
  if (auto why = unknown("efer", cpu.efer, state.efer, kEferWritable | efer::LMA)) return why;
  return unknown_vectors(cpu, state);
}

void reload_pdptes(Cpu& cpu) {
  if (pae_paging(cpu.cr0, cpu.cr4, cpu.efer)) cpu.pdpte = unchecked_pdptes(cpu, cpu.cr3);
}

bool write_efer(Cpu& cpu, std::uint64_t value) {
  if ((value & ~(kEferWritable | efer::LMA)) != 0) return false;
  if ((value & efer::NXE) != 0 && (cpu.misc_enable & misc_enable::kExecuteDisableOff) != 0)
    return false;
  const std::uint64_t changed = (value ^ cpu.efer) & kEferWritable;
  if ((changed & efer::LME) != 0 && (cpu.cr0 & cr0::PG) != 0) return false;
  cpu.efer = (value & kEferWritable) | (cpu.efer & efer::LMA);
  if ((changed & efer::NXE) != 0) cpu.flush_tlb();
  cpu.leave_soon();
  return true;
}

std::uint64_t time_stamp(Cpu& cpu) { return cpu.board().now().ns + cpu.tsc_offset; }

}  // namespace ringside::soft
