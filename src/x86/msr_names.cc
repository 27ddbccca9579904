#include "x86/msr_names.h"

#include <algorithm>

#include "x86/apic_registers.h"
#include "x86/msr_numbers.h"

namespace ringside::x86 {
namespace {

constexpr std::uint32_t x2apic(unsigned number) { return msr::kX2ApicFirst + number; }

constexpr MsrName kNames[] = {
    {"IA32_P5_MC_ADDR", 0x0},
    {"IA32_P5_MC_TYPE", 0x1},
    {"IA32_MONITOR_FILTER_SIZE", 0x6},
    {"IA32_TIME_STAMP_COUNTER", msr::kTsc},
    {"IA32_PLATFORM_ID", msr::kPlatformId},
    {"IA32_APIC_BASE", msr::kApicBase},
    {"IA32_FEATURE_CONTROL", 0x3a},
    {"IA32_TSC_ADJUST", msr::kTscAdjust},
    {"IA32_SPEC_CTRL", 0x48},
    {"IA32_PRED_CMD", 0x49},
    {"IA32_BIOS_UPDT_TRIG", 0x79},
    {"IA32_BIOS_SIGN_ID", msr::kBiosSignId},
    {"IA32_SMM_MONITOR_CTL", 0x9b},
    {"IA32_SMBASE", 0x9e},
    {"IA32_PMC0", 0xc1},
    {"IA32_PMC1", 0xc2},
    {"IA32_PMC2", 0xc3},
    {"IA32_PMC3", 0xc4},
    {"IA32_PMC4", 0xc5},
    {"IA32_PMC5", 0xc6},
    {"IA32_PMC6", 0xc7},
    {"IA32_PMC7", 0xc8},
    {"IA32_CORE_CAPABILITIES", 0xcf},
    {"IA32_UMWAIT_CONTROL", 0xe1},
    {"IA32_MPERF", 0xe7},
    {"IA32_APERF", 0xe8},
    {"IA32_MTRRCAP", msr::kMtrrCap},
    {"IA32_ARCH_CAPABILITIES", 0x10a},
    {"IA32_FLUSH_CMD", 0x10b},
    {"IA32_TSX_CTRL", 0x122},
    {"IA32_SYSENTER_CS", msr::kSysenterCs},
    {"IA32_SYSENTER_ESP", msr::kSysenterEsp},
    {"IA32_SYSENTER_EIP", msr::kSysenterEip},
    {"IA32_MCG_CAP", msr::kMcgCap},
    {"IA32_MCG_STATUS", msr::kMcgStatus},
    {"IA32_MCG_CTL", 0x17b},
    {"IA32_PERFEVTSEL0", 0x186},
    {"IA32_PERFEVTSEL1", 0x187},
    {"IA32_PERFEVTSEL2", 0x188},
    {"IA32_PERFEVTSEL3", 0x189},
    {"IA32_PERF_STATUS", 0x198},
    {"IA32_PERF_CTL", 0x199},
    {"IA32_CLOCK_MODULATION", 0x19a},
    {"IA32_THERM_INTERRUPT", 0x19b},
    {"IA32_THERM_STATUS", 0x19c},
    {"IA32_MISC_ENABLE", msr::kMiscEnable},
    {"IA32_ENERGY_PERF_BIAS", 0x1b0},
    {"IA32_PACKAGE_THERM_STATUS", 0x1b1},
    {"IA32_PACKAGE_THERM_INTERRUPT", 0x1b2},
    {"IA32_XFD", 0x1c4},
    {"IA32_XFD_ERR", 0x1c5},
    {"IA32_DEBUGCTL", msr::kDebugControl},
    {"IA32_SMRR_PHYSBASE", 0x1f2},
    {"IA32_SMRR_PHYSMASK", 0x1f3},
    {"IA32_MTRR_PHYSBASE0", msr::kMtrrPhysicalFirst},
    {"IA32_MTRR_PHYSMASK0", msr::kMtrrPhysicalFirst + 1},
    {"IA32_MTRR_PHYSBASE1", msr::kMtrrPhysicalFirst + 2},
    {"IA32_MTRR_PHYSMASK1", msr::kMtrrPhysicalFirst + 3},
    {"IA32_MTRR_PHYSBASE2", msr::kMtrrPhysicalFirst + 4},
    {"IA32_MTRR_PHYSMASK2", msr::kMtrrPhysicalFirst + 5},
    {"IA32_MTRR_PHYSBASE3", msr::kMtrrPhysicalFirst + 6},
    {"IA32_MTRR_PHYSMASK3", msr::kMtrrPhysicalFirst + 7},
    {"IA32_MTRR_PHYSBASE4", msr::kMtrrPhysicalFirst + 8},
    {"IA32_MTRR_PHYSMASK4", msr::kMtrrPhysicalFirst + 9},
    {"IA32_MTRR_PHYSBASE5", msr::kMtrrPhysicalFirst + 10},
    {"IA32_MTRR_PHYSMASK5", msr::kMtrrPhysicalFirst + 11},
    {"IA32_MTRR_PHYSBASE6", msr::kMtrrPhysicalFirst + 12},
    {"IA32_MTRR_PHYSMASK6", msr::kMtrrPhysicalFirst + 13},
    {"IA32_MTRR_PHYSBASE7", msr::kMtrrPhysicalFirst + 14},
    {"IA32_MTRR_PHYSMASK7", msr::kMtrrPhysicalFirst + 15},
    {"IA32_MTRR_FIX64K_00000", msr::kMtrrFixed[0]},
    {"IA32_MTRR_FIX16K_80000", msr::kMtrrFixed[1]},
    {"IA32_MTRR_FIX16K_A0000", msr::kMtrrFixed[2]},
    {"IA32_MTRR_FIX4K_C0000", msr::kMtrrFixed[3]},
    {"IA32_MTRR_FIX4K_C8000", msr::kMtrrFixed[4]},
    {"IA32_MTRR_FIX4K_D0000", msr::kMtrrFixed[5]},
    {"IA32_MTRR_FIX4K_D8000", msr::kMtrrFixed[6]},
    {"IA32_MTRR_FIX4K_E0000", msr::kMtrrFixed[7]},
    {"IA32_MTRR_FIX4K_E8000", msr::kMtrrFixed[8]},
    {"IA32_MTRR_FIX4K_F0000", msr::kMtrrFixed[9]},
    {"IA32_MTRR_FIX4K_F8000", msr::kMtrrFixed[10]},
    {"IA32_PAT", msr::kPat},
    {"IA32_MTRR_DEF_TYPE", msr::kMtrrDefType},
    {"IA32_FIXED_CTR0", 0x309},
    {"IA32_FIXED_CTR1", 0x30a},
    {"IA32_FIXED_CTR2", 0x30b},
    {"IA32_PERF_CAPABILITIES", 0x345},
    {"IA32_FIXED_CTR_CTRL", 0x38d},
    {"IA32_PERF_GLOBAL_STATUS", 0x38e},
    {"IA32_PERF_GLOBAL_CTRL", 0x38f},
    {"IA32_PERF_GLOBAL_OVF_CTRL", 0x390},
    {"IA32_PEBS_ENABLE", 0x3f1},
    {"IA32_MC0_CTL", 0x400},
    {"IA32_MC0_STATUS", 0x401},
    {"IA32_MC0_ADDR", 0x402},
    {"IA32_MC0_MISC", 0x403},
    {"IA32_MC1_CTL", 0x404},
    {"IA32_MC1_STATUS", 0x405},
    {"IA32_MC1_ADDR", 0x406},
    {"IA32_MC1_MISC", 0x407},
    {"IA32_VMX_BASIC", 0x480},
    {"IA32_VMX_PINBASED_CTLS", 0x481},
    {"IA32_VMX_PROCBASED_CTLS", 0x482},
    {"IA32_VMX_EXIT_CTLS", 0x483},
    {"IA32_VMX_ENTRY_CTLS", 0x484},
    {"IA32_VMX_MISC", 0x485},
    {"IA32_VMX_CR0_FIXED0", 0x486},
    {"IA32_VMX_CR0_FIXED1", 0x487},
    {"IA32_VMX_CR4_FIXED0", 0x488},
    {"IA32_VMX_CR4_FIXED1", 0x489},
    {"IA32_VMX_VMCS_ENUM", 0x48a},
    {"IA32_VMX_PROCBASED_CTLS2", 0x48b},
    {"IA32_VMX_EPT_VPID_CAP", 0x48c},
    {"IA32_DS_AREA", 0x600},
    {"IA32_U_CET", 0x6a0},
    {"IA32_S_CET", 0x6a2},
    {"IA32_PL0_SSP", 0x6a4},
    {"IA32_PL1_SSP", 0x6a5},
    {"IA32_PL2_SSP", 0x6a6},
    {"IA32_PL3_SSP", 0x6a7},
    {"IA32_INTERRUPT_SSP_TABLE_ADDR", 0x6a8},
    {"IA32_TSC_DEADLINE", msr::kTscDeadline},
    {"IA32_PKRS", 0x6e1},
    {"IA32_X2APIC_APICID", x2apic(apic::kId)},
    {"IA32_X2APIC_VERSION", x2apic(apic::kVersion)},
    {"IA32_X2APIC_TPR", x2apic(apic::kTaskPriority)},
    {"IA32_X2APIC_PPR", x2apic(apic::kProcessorPriority)},
    {"IA32_X2APIC_EOI", x2apic(apic::kEndOfInterrupt)},
    {"IA32_X2APIC_LDR", x2apic(apic::kLogicalDestination)},
    {"IA32_X2APIC_SIVR", x2apic(apic::kSpurious)},
    {"IA32_X2APIC_ISR0", x2apic(apic::kInService + 0)},
    {"IA32_X2APIC_ISR1", x2apic(apic::kInService + 1)},
    {"IA32_X2APIC_ISR2", x2apic(apic::kInService + 2)},
    {"IA32_X2APIC_ISR3", x2apic(apic::kInService + 3)},
    {"IA32_X2APIC_ISR4", x2apic(apic::kInService + 4)},
    {"IA32_X2APIC_ISR5", x2apic(apic::kInService + 5)},
    {"IA32_X2APIC_ISR6", x2apic(apic::kInService + 6)},
    {"IA32_X2APIC_ISR7", x2apic(apic::kInService + 7)},
    {"IA32_X2APIC_TMR0", x2apic(apic::kTriggerMode + 0)},
    {"IA32_X2APIC_TMR1", x2apic(apic::kTriggerMode + 1)},
    {"IA32_X2APIC_TMR2", x2apic(apic::kTriggerMode + 2)},
    {"IA32_X2APIC_TMR3", x2apic(apic::kTriggerMode + 3)},
    {"IA32_X2APIC_TMR4", x2apic(apic::kTriggerMode + 4)},
    {"IA32_X2APIC_TMR5", x2apic(apic::kTriggerMode + 5)},
    {"IA32_X2APIC_TMR6", x2apic(apic::kTriggerMode + 6)},
    {"IA32_X2APIC_TMR7", x2apic(apic::kTriggerMode + 7)},
    {"IA32_X2APIC_IRR0", x2apic(apic::kRequest + 0)},
    {"IA32_X2APIC_IRR1", x2apic(apic::kRequest + 1)},
    {"IA32_X2APIC_IRR2", x2apic(apic::kRequest + 2)},
    {"IA32_X2APIC_IRR3", x2apic(apic::kRequest + 3)},
    {"IA32_X2APIC_IRR4", x2apic(apic::kRequest + 4)},
    {"IA32_X2APIC_IRR5", x2apic(apic::kRequest + 5)},
    {"IA32_X2APIC_IRR6", x2apic(apic::kRequest + 6)},
    {"IA32_X2APIC_IRR7", x2apic(apic::kRequest + 7)},
    {"IA32_X2APIC_ESR", x2apic(apic::kErrorStatus)},
    {"IA32_X2APIC_LVT_CMCI", x2apic(apic::kLvtCmci)},
    {"IA32_X2APIC_ICR", x2apic(apic::kCommandLow)},
    {"IA32_X2APIC_LVT_TIMER", x2apic(apic::kLocalVectors + 0)},
    {"IA32_X2APIC_LVT_THERMAL", x2apic(apic::kLocalVectors + 1)},
    {"IA32_X2APIC_LVT_PMI", x2apic(apic::kLocalVectors + 2)},
    {"IA32_X2APIC_LVT_LINT0", x2apic(apic::kLocalVectors + 3)},
    {"IA32_X2APIC_LVT_LINT1", x2apic(apic::kLocalVectors + 4)},
    {"IA32_X2APIC_LVT_ERROR", x2apic(apic::kLocalVectors + 5)},
    {"IA32_X2APIC_INIT_COUNT", x2apic(apic::kInitialCount)},
    {"IA32_X2APIC_CUR_COUNT", x2apic(apic::kCurrentCount)},
    {"IA32_X2APIC_DIV_CONF", x2apic(apic::kDivide)},
    {"IA32_X2APIC_SELF_IPI", x2apic(apic::kSelfIpi)},
    {"IA32_XSS", msr::kXss},
    {"IA32_EFER", msr::kEfer},
    {"IA32_STAR", msr::kStar},
    {"IA32_LSTAR", msr::kLstar},
    {"IA32_CSTAR", msr::kCstar},
    {"IA32_FMASK", msr::kSfmask},
    {"IA32_FS_BASE", msr::kFsBase},
    {"IA32_GS_BASE", msr::kGsBase},
    {"IA32_KERNEL_GS_BASE", msr::kKernelGsBase},
    {"IA32_TSC_AUX", msr::kTscAux},
};

// Other names that people know them by.
constexpr MsrName kOthers[] = {
    {"TSC", msr::kTsc},
    {"CR_PAT", msr::kPat},
    {"SFMASK", msr::kSfmask},
    {"SYSCALL_MASK", msr::kSfmask},
};

// What is left of a name without what people write differently.
std::string plain(std::string_view name) {
  std::string text;
  for (const char c : name)
    text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (const std::string_view prefix : {"MSR_", "IA32_"}) {
    if (text.starts_with(prefix)) text.erase(0, prefix.size());
  }
  std::erase(text, '_');
  return text;
}

}  // namespace

std::span<const MsrName> msr_names() { return kNames; }

std::optional<std::uint32_t> msr_by_name(std::string_view name) {
  const std::string wanted = plain(name);
  for (const std::span<const MsrName> names : {std::span<const MsrName>(kNames), {kOthers}}) {
    for (const MsrName& each : names) {
      if (plain(each.name) == wanted) return each.number;
    }
  }
  return std::nullopt;
}

std::string_view name_of_msr(std::uint32_t number) {
  const auto found = std::ranges::lower_bound(kNames, number, {}, &MsrName::number);
  return found != std::end(kNames) && found->number == number ? found->name : std::string_view();
}

}  // namespace ringside::x86
