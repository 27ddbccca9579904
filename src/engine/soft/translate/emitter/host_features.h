// Which of the instructions that host code would like to use the host has: not every x86-64
// processor has those that the guest's has.
#pragma once

#include <Zydis/Zydis.h>
#include <xbyak/xbyak_util.h>

namespace ringside::soft {

inline bool host_has(ZydisISASet set) {
  using Xbyak::util::Cpu;
  static const Cpu cpu;
  switch (set) {
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSEMXCSR:
      return true;
    case ZYDIS_ISA_SET_SSE3:
      return cpu.has(Cpu::tSSE3);
    case ZYDIS_ISA_SET_SSSE3:
      return cpu.has(Cpu::tSSSE3);
    case ZYDIS_ISA_SET_SSE4:
      return cpu.has(Cpu::tSSE41);
    case ZYDIS_ISA_SET_SSE42:
      return cpu.has(Cpu::tSSE42);
    case ZYDIS_ISA_SET_POPCNT:
      return cpu.has(Cpu::tPOPCNT);
    case ZYDIS_ISA_SET_AES:
      return cpu.has(Cpu::tAESNI);
    case ZYDIS_ISA_SET_PCLMULQDQ:
      return cpu.has(Cpu::tPCLMULQDQ);
    case ZYDIS_ISA_SET_SHA:
      return cpu.has(Cpu::tSHA);
    // Where these are, the host's kernel keeps the upper halves, too.
    case ZYDIS_ISA_SET_AVX:
      return cpu.has(Cpu::tAVX);
    case ZYDIS_ISA_SET_AVX2:
      return cpu.has(Cpu::tAVX2);
    case ZYDIS_ISA_SET_AVXAES:
      return cpu.has(Cpu::tAVX) && cpu.has(Cpu::tAESNI);
    case ZYDIS_ISA_SET_FMA:
      return cpu.has(Cpu::tFMA);
    case ZYDIS_ISA_SET_BMI1:
      return cpu.has(Cpu::tBMI1);
    case ZYDIS_ISA_SET_BMI2:
      return cpu.has(Cpu::tBMI2);
    case ZYDIS_ISA_SET_LZCNT:
      return cpu.has(Cpu::tLZCNT);
    case ZYDIS_ISA_SET_ADOX_ADCX:
      return cpu.has(Cpu::tADX);
    default:
      return false;
  }
}

}  // namespace ringside::soft
