// Architectural bit names. Numbers from the Intel SDM: volume 3A chapter 2 (control registers),
// volume 1 section 3.4.3 (EFLAGS).
#pragma once

#include <cstdint>

namespace ringside::x86 {

namespace rflags {
inline constexpr std::uint64_t CF = 1u << 0, Fixed = 1u << 1, PF = 1u << 2, AF = 1u << 4,
                               ZF = 1u << 6, SF = 1u << 7, TF = 1u << 8, IF = 1u << 9,
                               DF = 1u << 10, OF = 1u << 11, IOPL = 3u << 12, NT = 1u << 14,
                               RF = 1u << 16, VM = 1u << 17, AC = 1u << 18, VIF = 1u << 19,
                               VIP = 1u << 20, ID = 1u << 21;
inline constexpr std::uint64_t kArithmetic = CF | PF | AF | ZF | SF | OF;
inline constexpr unsigned kIoplShift = 12;
}  // namespace rflags

namespace cr0 {
inline constexpr std::uint64_t PE = 1u << 0, MP = 1u << 1, EM = 1u << 2, TS = 1u << 3, ET = 1u << 4,
                               NE = 1u << 5, WP = 1u << 16, AM = 1u << 18, NW = 1u << 29,
                               CD = 1u << 30, PG = 1u << 31;
}
namespace cr4 {
inline constexpr std::uint64_t VME = 1u << 0, PVI = 1u << 1, TSD = 1u << 2, DE = 1u << 3,
                               PSE = 1u << 4, PAE = 1u << 5, MCE = 1u << 6, PGE = 1u << 7,
                               PCE = 1u << 8, OSFXSR = 1u << 9, OSXMMEXCPT = 1u << 10,
                               UMIP = 1u << 11, LA57 = 1u << 12, FSGSBASE = 1u << 16,
                               PCIDE = 1u << 17, OSXSAVE = 1u << 18, SMEP = 1u << 20,
                               SMAP = 1u << 21, PKE = 1u << 22;
}
namespace efer {
inline constexpr std::uint64_t SCE = 1u << 0, LME = 1u << 8, LMA = 1u << 10, NXE = 1u << 11;
}
namespace dr6 {
inline constexpr std::uint64_t BD = 1u << 13, BS = 1u << 14, BT = 1u << 15, kReset = 0xffff0ff0;
inline constexpr std::uint64_t kBreakpoints = 0xf;  // B0 to B3
// DR6 once a #DB is delivered for `causes`. B0 to B3 describe it alone, the bits above them stay
// until software clears them (SDM 3B 17.2.3).
constexpr std::uint64_t with_causes(std::uint64_t before, std::uint64_t causes) {
  return (before & ~kBreakpoints) | causes;
}
}  // namespace dr6
namespace dr7 {
inline constexpr std::uint64_t GD = 1u << 13, kReset = 0x400;
}

// IA32_APIC_BASE (SDM 3A 10.4.1 and figure 10-26): its address after RESET, and its bits. With
// neither of the last two the APIC is disabled; x2APIC mode is both.
namespace apic {
inline constexpr std::uint64_t kDefaultBase = 0xfee00000;
inline constexpr std::uint64_t kBaseBoot = 1u << 8, kBaseX2apic = 1u << 10, kBaseEnable = 1u << 11;
}  // namespace apic

}  // namespace ringside::x86
