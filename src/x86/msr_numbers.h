// The numbers of model-specific registers (SDM 4 table 2-2), each once: of all that anything here
// reads, writes or tells from others. Their names, and the numbers of those that only a debugger
// asks for, are in msr_names.cc.
#pragma once

#include <cstdint>

namespace ringside::x86::msr {

inline constexpr std::uint32_t kTsc = 0x10, kPlatformId = 0x17, kApicBase = 0x1b, kTscAdjust = 0x3b,
                               kBiosSignId = 0x8b, kMtrrCap = 0xfe, kSysenterCs = 0x174,
                               kSysenterEsp = 0x175, kSysenterEip = 0x176, kMcgCap = 0x179,
                               kMcgStatus = 0x17a, kMiscEnable = 0x1a0, kDebugControl = 0x1d9,
                               kPat = 0x277, kMtrrDefType = 0x2ff, kTscDeadline = 0x6e0,
                               kXss = 0xda0, kEfer = 0xc0000080, kStar = 0xc0000081,
                               kLstar = 0xc0000082, kCstar = 0xc0000083, kSfmask = 0xc0000084,
                               kFsBase = 0xc0000100, kGsBase = 0xc0000101,
                               kKernelGsBase = 0xc0000102, kTscAux = 0xc0000103;

// Base and mask of each variable memory-type range in turn, and the fixed ranges (SDM 3A 11.11.2).
inline constexpr std::uint32_t kMtrrPhysicalFirst = 0x200;
inline constexpr std::uint32_t kMtrrFixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                               0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

// The local APIC's registers in x2APIC mode: this and their number in apic_registers.h (SDM 3A
// 10.12.1.2).
inline constexpr std::uint32_t kX2ApicFirst = 0x800, kX2ApicLast = 0x8ff;
constexpr bool is_x2apic(std::uint32_t number) {
  return number >= kX2ApicFirst && number <= kX2ApicLast;
}

}  // namespace ringside::x86::msr
