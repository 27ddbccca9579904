#include "x86/msr_names.h"

#include <algorithm>

namespace ringside::x86 {
namespace {

constexpr MsrName kNames[] = {
    {"IA32_P5_MC_ADDR", 0x0},
    {"IA32_P5_MC_TYPE", 0x1},
    {"IA32_MONITOR_FILTER_SIZE", 0x6},
    {"IA32_TIME_STAMP_COUNTER", 0x10},
    {"IA32_PLATFORM_ID", 0x17},
    {"IA32_APIC_BASE", 0x1b},
    {"IA32_FEATURE_CONTROL", 0x3a},
    {"IA32_TSC_ADJUST", 0x3b},
    {"IA32_SPEC_CTRL", 0x48},
    {"IA32_PRED_CMD", 0x49},
    {"IA32_BIOS_UPDT_TRIG", 0x79},
    {"IA32_BIOS_SIGN_ID", 0x8b},
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
    {"IA32_MTRRCAP", 0xfe},
    {"IA32_ARCH_CAPABILITIES", 0x10a},
    {"IA32_FLUSH_CMD", 0x10b},
    {"IA32_TSX_CTRL", 0x122},
    {"IA32_SYSENTER_CS", 0x174},
    {"IA32_SYSENTER_ESP", 0x175},
    {"IA32_SYSENTER_EIP", 0x176},
    {"IA32_MCG_CAP", 0x179},
    {"IA32_MCG_STATUS", 0x17a},
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
    {"IA32_MISC_ENABLE", 0x1a0},
    {"IA32_ENERGY_PERF_BIAS", 0x1b0},
    {"IA32_PACKAGE_THERM_STATUS", 0x1b1},
    {"IA32_PACKAGE_THERM_INTERRUPT", 0x1b2},
    {"IA32_XFD", 0x1c4},
    {"IA32_XFD_ERR", 0x1c5},
    {"IA32_DEBUGCTL", 0x1d9},
    {"IA32_SMRR_PHYSBASE", 0x1f2},
    {"IA32_SMRR_PHYSMASK", 0x1f3},
    {"IA32_MTRR_PHYSBASE0", 0x200},
    {"IA32_MTRR_PHYSMASK0", 0x201},
    {"IA32_MTRR_PHYSBASE1", 0x202},
    {"IA32_MTRR_PHYSMASK1", 0x203},
    {"IA32_MTRR_PHYSBASE2", 0x204},
    {"IA32_MTRR_PHYSMASK2", 0x205},
    {"IA32_MTRR_PHYSBASE3", 0x206},
    {"IA32_MTRR_PHYSMASK3", 0x207},
    {"IA32_MTRR_PHYSBASE4", 0x208},
    {"IA32_MTRR_PHYSMASK4", 0x209},
    {"IA32_MTRR_PHYSBASE5", 0x20a},
    {"IA32_MTRR_PHYSMASK5", 0x20b},
    {"IA32_MTRR_PHYSBASE6", 0x20c},
    {"IA32_MTRR_PHYSMASK6", 0x20d},
    {"IA32_MTRR_PHYSBASE7", 0x20e},
    {"IA32_MTRR_PHYSMASK7", 0x20f},
    {"IA32_MTRR_FIX64K_00000", 0x250},
    {"IA32_MTRR_FIX16K_80000", 0x258},
    {"IA32_MTRR_FIX16K_A0000", 0x259},
    {"IA32_MTRR_FIX4K_C0000", 0x268},
    {"IA32_MTRR_FIX4K_C8000", 0x269},
    {"IA32_MTRR_FIX4K_D0000", 0x26a},
    {"IA32_MTRR_FIX4K_D8000", 0x26b},
    {"IA32_MTRR_FIX4K_E0000", 0x26c},
    {"IA32_MTRR_FIX4K_E8000", 0x26d},
    {"IA32_MTRR_FIX4K_F0000", 0x26e},
    {"IA32_MTRR_FIX4K_F8000", 0x26f},
    {"IA32_PAT", 0x277},
    {"IA32_MTRR_DEF_TYPE", 0x2ff},
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
    {"IA32_TSC_DEADLINE", 0x6e0},
    {"IA32_PKRS", 0x6e1},
    {"IA32_X2APIC_APICID", 0x802},
    {"IA32_X2APIC_VERSION", 0x803},
    {"IA32_X2APIC_TPR", 0x808},
    {"IA32_X2APIC_PPR", 0x80a},
    {"IA32_X2APIC_EOI", 0x80b},
    {"IA32_X2APIC_LDR", 0x80d},
    {"IA32_X2APIC_SIVR", 0x80f},
    {"IA32_X2APIC_ISR0", 0x810},
    {"IA32_X2APIC_ISR1", 0x811},
    {"IA32_X2APIC_ISR2", 0x812},
    {"IA32_X2APIC_ISR3", 0x813},
    {"IA32_X2APIC_ISR4", 0x814},
    {"IA32_X2APIC_ISR5", 0x815},
    {"IA32_X2APIC_ISR6", 0x816},
    {"IA32_X2APIC_ISR7", 0x817},
    {"IA32_X2APIC_TMR0", 0x818},
    {"IA32_X2APIC_TMR1", 0x819},
    {"IA32_X2APIC_TMR2", 0x81a},
    {"IA32_X2APIC_TMR3", 0x81b},
    {"IA32_X2APIC_TMR4", 0x81c},
    {"IA32_X2APIC_TMR5", 0x81d},
    {"IA32_X2APIC_TMR6", 0x81e},
    {"IA32_X2APIC_TMR7", 0x81f},
    {"IA32_X2APIC_IRR0", 0x820},
    {"IA32_X2APIC_IRR1", 0x821},
    {"IA32_X2APIC_IRR2", 0x822},
    {"IA32_X2APIC_IRR3", 0x823},
    {"IA32_X2APIC_IRR4", 0x824},
    {"IA32_X2APIC_IRR5", 0x825},
    {"IA32_X2APIC_IRR6", 0x826},
    {"IA32_X2APIC_IRR7", 0x827},
    {"IA32_X2APIC_ESR", 0x828},
    {"IA32_X2APIC_LVT_CMCI", 0x82f},
    {"IA32_X2APIC_ICR", 0x830},
    {"IA32_X2APIC_LVT_TIMER", 0x832},
    {"IA32_X2APIC_LVT_THERMAL", 0x833},
    {"IA32_X2APIC_LVT_PMI", 0x834},
    {"IA32_X2APIC_LVT_LINT0", 0x835},
    {"IA32_X2APIC_LVT_LINT1", 0x836},
    {"IA32_X2APIC_LVT_ERROR", 0x837},
    {"IA32_X2APIC_INIT_COUNT", 0x838},
    {"IA32_X2APIC_CUR_COUNT", 0x839},
    {"IA32_X2APIC_DIV_CONF", 0x83e},
    {"IA32_X2APIC_SELF_IPI", 0x83f},
    {"IA32_XSS", 0xda0},
    {"IA32_EFER", 0xc0000080},
    {"IA32_STAR", 0xc0000081},
    {"IA32_LSTAR", 0xc0000082},
    {"IA32_CSTAR", 0xc0000083},
    {"IA32_FMASK", 0xc0000084},
    {"IA32_FS_BASE", 0xc0000100},
    {"IA32_GS_BASE", 0xc0000101},
    {"IA32_KERNEL_GS_BASE", 0xc0000102},
    {"IA32_TSC_AUX", 0xc0000103},
};

// Other names that people know them by.
constexpr MsrName kOthers[] = {
    {"TSC", 0x10},
    {"CR_PAT", 0x277},
    {"SFMASK", 0xc0000084},
    {"SYSCALL_MASK", 0xc0000084},
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
