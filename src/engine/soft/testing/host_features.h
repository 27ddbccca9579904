// What instructions the host's own processor has, for tests that compare with it.
#pragma once

#include <Zydis/Zydis.h>
#include <cpuid.h>

namespace ringside::soft::testing {

struct CpuidAnswer {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// A bit of CPUID's answer to a leaf (SDM 2A, CPUID); clear where the processor has no such leaf.
inline bool cpuid_bit(unsigned leaf, unsigned CpuidAnswer::*part, unsigned bit) {
  CpuidAnswer answer;
  const bool there =
      __get_cpuid_count(leaf, 0, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx) != 0;
  return there && (answer.*part >> bit & 1) != 0;
}

// Whether CPUID announces the extension. True for sets that every x86-64 processor has, and for
// those that execute as NOP where they are not announced.
inline bool host_has(ZydisISASet set) {
  switch (set) {
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSE3X87:
      return cpuid_bit(1, &CpuidAnswer::ecx, 0);
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
      return cpuid_bit(1, &CpuidAnswer::ecx, 9);
    case ZYDIS_ISA_SET_CMPXCHG16B:
      return cpuid_bit(1, &CpuidAnswer::ecx, 13);
    case ZYDIS_ISA_SET_SSE4:
      return cpuid_bit(1, &CpuidAnswer::ecx, 19);
    case ZYDIS_ISA_SET_SSE42:
      return cpuid_bit(1, &CpuidAnswer::ecx, 20);
    case ZYDIS_ISA_SET_PCLMULQDQ:
      return cpuid_bit(1, &CpuidAnswer::ecx, 1);
    case ZYDIS_ISA_SET_AES:
      return cpuid_bit(1, &CpuidAnswer::ecx, 25);
    case ZYDIS_ISA_SET_SHA:
      return cpuid_bit(7, &CpuidAnswer::ebx, 29);
    case ZYDIS_ISA_SET_BMI1:
      return cpuid_bit(7, &CpuidAnswer::ebx, 3);
    case ZYDIS_ISA_SET_BMI2:
      return cpuid_bit(7, &CpuidAnswer::ebx, 8);
    case ZYDIS_ISA_SET_ADOX_ADCX:
      return cpuid_bit(7, &CpuidAnswer::ebx, 19);
    case ZYDIS_ISA_SET_LZCNT:
      return cpuid_bit(0x80000001, &CpuidAnswer::ecx, 5);
    // The kernel switches the registers of AVX, too.
    case ZYDIS_ISA_SET_AVX:
    case ZYDIS_ISA_SET_AVXAES:
      return cpuid_bit(1, &CpuidAnswer::ecx, 27) && cpuid_bit(1, &CpuidAnswer::ecx, 28);
    case ZYDIS_ISA_SET_F16C:
      return cpuid_bit(1, &CpuidAnswer::ecx, 29);
    case ZYDIS_ISA_SET_FMA:
      return cpuid_bit(1, &CpuidAnswer::ecx, 12);
    case ZYDIS_ISA_SET_AVX2:
    case ZYDIS_ISA_SET_AVX2GATHER:
      return cpuid_bit(7, &CpuidAnswer::ebx, 5);
    case ZYDIS_ISA_SET_MOVBE:
      return cpuid_bit(1, &CpuidAnswer::ecx, 22);
    case ZYDIS_ISA_SET_POPCNT:
      return cpuid_bit(1, &CpuidAnswer::ecx, 23);
    case ZYDIS_ISA_SET_INVPCID:
      return cpuid_bit(7, &CpuidAnswer::ebx, 10);
    case ZYDIS_ISA_SET_LAHF:
      return cpuid_bit(0x80000001, &CpuidAnswer::ecx, 0);  // LAHF and SAHF in 64-bit code
    default:
      return true;
  }
}

}  // namespace ringside::soft::testing
