// What instructions the host's own processor has, for tests that compare with it.
#pragma once

#include <Zydis/Zydis.h>
#include <cpuid.h>

namespace ringside::soft::testing {

// Bit numbers of CPUID leaf 1's ECX (SDM 2A, table 3-10).
inline bool leaf1_ecx(unsigned bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> bit & 1) != 0;
}
// LAHF and SAHF in 64-bit code.
inline bool extended_leaf1_ecx(unsigned bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> bit & 1) != 0;
}
// EBX of leaf 7.
inline bool leaf7_ebx(unsigned bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx >> bit & 1) != 0;
}

// Whether CPUID announces the extension. True for sets that every x86-64 processor has, and for
// those that execute as NOP where they are not announced.
inline bool host_has(ZydisISASet set) {
  switch (set) {
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSE3X87:
      return leaf1_ecx(0);
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
      return leaf1_ecx(9);
    case ZYDIS_ISA_SET_CMPXCHG16B:
      return leaf1_ecx(13);
    case ZYDIS_ISA_SET_SSE4:
      return leaf1_ecx(19);
    case ZYDIS_ISA_SET_SSE42:
      return leaf1_ecx(20);
    case ZYDIS_ISA_SET_MOVBE:
      return leaf1_ecx(22);
    case ZYDIS_ISA_SET_POPCNT:
      return leaf1_ecx(23);
    case ZYDIS_ISA_SET_INVPCID:
      return leaf7_ebx(10);
    case ZYDIS_ISA_SET_LAHF:
      return extended_leaf1_ecx(0);
    default:
      return true;
  }
}

}  // namespace ringside::soft::testing
