// FXSAVE, FXRSTOR (SDM 1 10.5.1, table 13-2) and the SSE control register.

#include "engine/soft/instructions/vector/fxsave_image.h"
#include "engine/soft/instructions/vector/vector.h"

namespace ringside::soft {
namespace {

using namespace fxsave_image;

// FXSAVE and FXRSTOR raise #UD for CR0.EM and #NM for CR0.TS, and look at no pending exception.
void check_available(const Cpu& cpu) {
  if ((cpu.cr0 & x86::cr0::EM) != 0) raise(x86::Vector::InvalidOpcode);
  if ((cpu.cr0 & x86::cr0::TS) != 0) raise(x86::Vector::DeviceNotAvailable);
}
// Outside 64-bit mode only XMM0 to XMM7 are there.
unsigned xmm_count(const Cpu& cpu) { return cpu.code64() ? 16 : 8; }
bool with_sse(const Cpu& cpu) { return (cpu.cr4 & x86::cr4::OSFXSR) != 0; }

template <Pointers kPointers>
void fxsave(Cpu& cpu, const Insn& insn) {
  check_available(cpu);
  const std::uint64_t linear = aligned(cpu.linear(insn, kSize, AccessKind::Write));
  const Area area = of<kPointers>(cpu.fpu);
  const unsigned end = with_sse(cpu) ? kXmmRegisters + 16 * xmm_count(cpu) : kXmmRegisters;
  cpu.check_write(linear, kSize);
  for (unsigned offset = 0; offset < end; offset += 16) {
    if (offset == 16 && !with_sse(cpu)) {  // MXCSR and its mask stay
      cpu.store(linear + offset, take<std::uint64_t>(area, offset));
      continue;
    }
    cpu.store(linear + offset, take<Xmm>(area, offset));
  }
}

template <Pointers kPointers>
void fxrstor(Cpu& cpu, const Insn& insn) {
  check_available(cpu);
  const std::uint64_t linear = aligned(cpu.linear(insn, kSize, AccessKind::Read));
  Area area{};
  for (unsigned offset = 0; offset < kXmmEnd; offset += 16)
    put(area, offset, cpu.load<Xmm>(linear + offset));
  const auto mxcsr = take<std::uint32_t>(area, kMxcsr);
  if (with_sse(cpu) && (mxcsr & ~kMxcsrMask) != 0) raise(x86::Vector::GeneralProtection, 0);
  Fpu& fpu = cpu.fpu;
  restore_x87<kPointers>(fpu, area);
  if (!with_sse(cpu)) return;
  fpu.mxcsr = mxcsr;
  restore_xmm(fpu, area, xmm_count(cpu));
}

template <Encoding kEncoding>
void ldmxcsr(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  const auto value = load_vector<std::uint32_t>(cpu, insn);
  if ((value & ~kMxcsrMask) != 0) raise(x86::Vector::GeneralProtection, 0);
  cpu.fpu.mxcsr = value;
}
template <Encoding kEncoding>
void stmxcsr(Cpu& cpu, const Insn& insn) {
  check_vector<kEncoding>(cpu);
  store_vector(cpu, insn, cpu.fpu.mxcsr);
}

template <Handler kHandler>
bool lower_with_memory(const Decoded& decoded, Insn& insn) {
  if (!decoded.is_memory(0)) return false;
  insn.execute = kHandler;
  lower_memory(decoded, 0, insn);
  return true;
}

}  // namespace

void register_fxsave(LowerTable& table) {
  constexpr auto kLegacy = Pointers::Offset32WithSelector;
  constexpr auto kWide = Pointers::Offset64;
  table.add(ZYDIS_MNEMONIC_FXSAVE, lower_with_memory<fxsave<kLegacy>>);
  table.add(ZYDIS_MNEMONIC_FXSAVE64, lower_with_memory<fxsave<kWide>>);
  table.add(ZYDIS_MNEMONIC_FXRSTOR, lower_with_memory<fxrstor<kLegacy>>);
  table.add(ZYDIS_MNEMONIC_FXRSTOR64, lower_with_memory<fxrstor<kWide>>);
  table.add(ZYDIS_MNEMONIC_LDMXCSR, lower_with_memory<ldmxcsr<Encoding::Legacy>>);
  table.add(ZYDIS_MNEMONIC_VLDMXCSR, lower_with_memory<ldmxcsr<Encoding::Vex>>);
  table.add(ZYDIS_MNEMONIC_STMXCSR, lower_with_memory<stmxcsr<Encoding::Legacy>>);
  table.add(ZYDIS_MNEMONIC_VSTMXCSR, lower_with_memory<stmxcsr<Encoding::Vex>>);
}

}  // namespace ringside::soft
