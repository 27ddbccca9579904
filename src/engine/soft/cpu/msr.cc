#include "engine/soft/cpu/msr.h"

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/cpuid.h"
#include "x86/msr_numbers.h"

namespace ringside::soft {
namespace {

namespace msr = x86::msr;
using x86::SegmentName;

// IA32_MTRRCAP: write-combining, fixed ranges, eight variable ranges.
constexpr std::uint64_t kMtrrCapValue = 1u << 10 | 1u << 8 | Mtrrs::kVariable;
// IA32_DEBUGCTL: LBR and BTF. Accepted as by a processor that records no branches; they read as
// zero.
constexpr std::uint64_t kDebugControlBits = 3;

constexpr bool is_memory_type(std::uint64_t type) {
  return type <= 6 && type != 2 && type != 3;  // SDM 3A table 11-8
}
constexpr bool is_pat_type(std::uint64_t type) { return is_memory_type(type) || type == 7; }

template <typename Predicate>
bool every_byte(std::uint64_t value, Predicate predicate) {
  for (unsigned i = 0; i < 8; ++i) {
    if (!predicate(value >> (8 * i) & 0xff)) return false;
  }
  return true;
}

std::uint64_t* fixed_mtrr(Cpu& cpu, std::uint32_t number) {
  for (std::size_t i = 0; i < std::size(msr::kMtrrFixed); ++i) {
    if (msr::kMtrrFixed[i] == number) return &cpu.mtrrs.fixed[i];
  }
  return nullptr;
}
std::uint64_t* variable_mtrr(Cpu& cpu, std::uint32_t number) {
  const std::uint32_t index = number - msr::kMtrrPhysicalFirst;
  return index < cpu.mtrrs.variable.size() ? &cpu.mtrrs.variable[index] : nullptr;
}

bool write_variable_mtrr(std::uint64_t& at, std::uint32_t number, std::uint64_t value) {
  const bool mask = (number & 1) != 0;
  constexpr std::uint64_t kAddress = ((std::uint64_t{1} << kPhysicalAddressBits) - 1) & kPageMask;
  const std::uint64_t allowed = kAddress | (mask ? 1u << 11 : 0xffu);
  if ((value & ~allowed) != 0 || (!mask && !is_memory_type(value & 0xff))) return false;
  at = value;
  return true;
}

bool write_canonical(std::uint64_t& at, std::uint64_t value) {
  if (!canonical_to_load(value)) return false;
  at = value;
  return true;
}

bool is_apic(std::uint32_t number) { return number == msr::kApicBase || msr::is_x2apic(number); }

// The platform's deadline is in virtual time; the guest's TSC may be offset from that. Zero means
// disarmed and stays zero (SDM 3A 10.5.4.1).
std::optional<std::uint64_t> read_deadline(Cpu& cpu) {
  std::uint64_t value = 0;
  if (!cpu.board().platform.apic_msr_read(cpu.id(), msr::kTscDeadline, value)) return std::nullopt;
  return value == 0 ? 0 : value + cpu.tsc_offset;
}
bool write_deadline(Cpu& cpu, std::uint64_t value) {
  // A deadline before the origin of time has passed already, as has the first nanosecond.
  const auto due = static_cast<std::int64_t>(value - cpu.tsc_offset);
  const std::uint64_t at = value == 0 ? 0 : due <= 0 ? 1 : static_cast<std::uint64_t>(due);
  return cpu.board().platform.apic_msr_write(cpu.id(), msr::kTscDeadline, at);
}

void set_tsc_offset(Cpu& cpu, std::uint64_t offset) {
  const std::optional<std::uint64_t> deadline = read_deadline(cpu);
  cpu.tsc_offset = offset;
  if (deadline && *deadline != 0) write_deadline(cpu, *deadline);
}

}  // namespace

std::optional<std::uint64_t> read_msr(Cpu& cpu, std::uint32_t number) {
  std::uint64_t value = 0;
  if (is_apic(number)) {
    if (!cpu.board().platform.apic_msr_read(cpu.id(), number, value)) return std::nullopt;
    return value;
  }
  if (const std::uint64_t* mtrr = variable_mtrr(cpu, number)) return *mtrr;
  if (const std::uint64_t* mtrr = fixed_mtrr(cpu, number)) return *mtrr;
  switch (number) {
    case msr::kTsc:
      return time_stamp(cpu);
    case msr::kTscAdjust:
      return cpu.tsc_offset;
    case msr::kTscDeadline:
      return read_deadline(cpu);
    case msr::kEfer:
      return cpu.efer;
    case msr::kStar:
      return cpu.star;
    case msr::kLstar:
      return cpu.lstar;
    case msr::kCstar:
      return cpu.cstar;
    case msr::kSfmask:
      return cpu.sfmask;
    case msr::kFsBase:
      return cpu.seg(SegmentName::Fs).base;
    case msr::kGsBase:
      return cpu.seg(SegmentName::Gs).base;
    case msr::kKernelGsBase:
      return cpu.kernel_gs_base;
    case msr::kTscAux:
      return cpu.tsc_aux;
    case msr::kSysenterCs:
      return cpu.sysenter_cs;
    case msr::kSysenterEsp:
      return cpu.sysenter_esp;
    case msr::kSysenterEip:
      return cpu.sysenter_eip;
    case msr::kPat:
      return cpu.pat;
    case msr::kMtrrCap:
      return kMtrrCapValue;
    case msr::kMtrrDefType:
      return cpu.mtrrs.default_type;
    case msr::kMiscEnable:
      return cpu.misc_enable;
    // No microcode, no machine-check banks, no branch records.
    case msr::kPlatformId:
    case msr::kBiosSignId:
    case msr::kMcgCap:
    case msr::kMcgStatus:
    case msr::kDebugControl:
      return 0;
    default:
      return std::nullopt;
  }
}

bool write_msr(Cpu& cpu, std::uint32_t number, std::uint64_t value) {
  // How wide a physical address is, is the processor's affair, not the APIC's.
  if (number == msr::kApicBase && value >> kPhysicalAddressBits != 0) return false;
  if (is_apic(number)) {
    return cpu.board().platform.apic_msr_write(cpu.id(), number, value);
  }
  if (std::uint64_t* mtrr = variable_mtrr(cpu, number)) {
    return write_variable_mtrr(*mtrr, number, value);
  }
  if (std::uint64_t* mtrr = fixed_mtrr(cpu, number)) {
    if (!every_byte(value, is_memory_type)) return false;
    *mtrr = value;
    return true;
  }
  switch (number) {
    case msr::kTsc:
      set_tsc_offset(cpu, value - cpu.board().now().ns);
      return true;
    case msr::kTscAdjust:
      set_tsc_offset(cpu, value);
      return true;
    case msr::kTscDeadline:
      return write_deadline(cpu, value);
    case msr::kEfer:
      return write_efer(cpu, value);
    case msr::kStar:
      cpu.star = value;
      return true;
    case msr::kLstar:
      return write_canonical(cpu.lstar, value);
    case msr::kCstar:
      return write_canonical(cpu.cstar, value);
    case msr::kSfmask:
      if (value >> 32 != 0) return false;
      cpu.sfmask = value;
      return true;
    case msr::kFsBase:
      return write_canonical(cpu.seg(SegmentName::Fs).base, value);
    case msr::kGsBase:
      return write_canonical(cpu.seg(SegmentName::Gs).base, value);
    case msr::kKernelGsBase:
      return write_canonical(cpu.kernel_gs_base, value);
    case msr::kTscAux:
      if (value >> 32 != 0) return false;
      cpu.tsc_aux = value;
      return true;
    case msr::kSysenterCs:
      cpu.sysenter_cs = value & 0xffffffff;
      return true;
    case msr::kSysenterEsp:
      return write_canonical(cpu.sysenter_esp, value);
    case msr::kSysenterEip:
      return write_canonical(cpu.sysenter_eip, value);
    case msr::kPat:
      if (!every_byte(value, is_pat_type)) return false;
      cpu.pat = value;
      return true;
    case msr::kMtrrDefType: {
      const std::uint64_t allowed = Mtrrs::kEnable | Mtrrs::kFixedEnable | 0xff;
      if ((value & ~allowed) != 0 || !is_memory_type(value & 0xff)) return false;
      cpu.mtrrs.default_type = value;
      return true;
    }
    case msr::kMiscEnable:
      cpu.misc_enable =
          (value & misc_enable::kWritable) | (cpu.misc_enable & ~misc_enable::kWritable);
      return true;
    // Exists but does nothing here: writing zero to it precedes reading the revision.
    case msr::kBiosSignId:
      return true;
    case msr::kMcgStatus:
      return value == 0;
    case msr::kDebugControl:
      return (value & ~kDebugControlBits) == 0;
    default:
      return false;
  }
}

}  // namespace ringside::soft
