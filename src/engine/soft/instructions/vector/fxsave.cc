// FXSAVE, FXRSTOR (SDM 1 10.5.1, table 13-2) and the SSE control register.

#include "engine/soft/instructions/vector/vector.h"
#include "engine/soft/instructions/x87/x87.h"

namespace ringside::soft {
namespace {

constexpr std::uint32_t kMxcsrMask = 0xffff;
constexpr unsigned kAreaSize = 512, kX87Registers = 32, kXmmRegisters = 160;
constexpr unsigned kXmmEnd = kXmmRegisters + 16 * 16;

using Area = std::array<std::uint8_t, kAreaSize>;

template <typename T>
void put(Area& area, unsigned offset, T value) {
  std::memcpy(area.data() + offset, &value, sizeof(T));
}
template <typename T>
T take(const Area& area, unsigned offset) {
  T value;
  std::memcpy(&value, area.data() + offset, sizeof(T));
  return value;
}

enum class Pointers { Offset32WithSelector, Offset64 };

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
  const std::uint64_t linear = aligned(cpu.linear(insn, kAreaSize, AccessKind::Write));
  const Fpu& fpu = cpu.fpu;
  Area area{};
  put(area, 0, fpu.control);
  put(area, 2, fpu.status);
  put(area, 4, static_cast<std::uint8_t>(~fpu.empty));
  put(area, 6, fpu.opcode);
  if constexpr (kPointers == Pointers::Offset64) {
    put(area, 8, fpu.instruction_pointer);
    put(area, 16, fpu.data_pointer);
  } else {
    put(area, 8, static_cast<std::uint32_t>(fpu.instruction_pointer));
    put(area, 12, fpu.instruction_selector);
    put(area, 16, static_cast<std::uint32_t>(fpu.data_pointer));
    put(area, 20, fpu.data_selector);
  }
  put(area, 24, fpu.mxcsr);
  put(area, 28, kMxcsrMask);
  for (unsigned i = 0; i < 8; ++i) {
    put(area, kX87Registers + 16 * i, fpu.st(i).significand);
    put(area, kX87Registers + 16 * i + 8, fpu.st(i).sign_exponent);
  }
  for (unsigned i = 0; i < 16; ++i)
    put(area, kXmmRegisters + 16 * i, fpu.xmm[i]);
  const unsigned end = with_sse(cpu) ? kXmmRegisters + 16 * xmm_count(cpu) : kXmmRegisters;
  cpu.check_write(linear, kAreaSize);
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
  const std::uint64_t linear = aligned(cpu.linear(insn, kAreaSize, AccessKind::Read));
  Area area{};
  for (unsigned offset = 0; offset < kXmmEnd; offset += 16)
    put(area, offset, cpu.load<Xmm>(linear + offset));
  const auto mxcsr = take<std::uint32_t>(area, 24);
  if (with_sse(cpu) && (mxcsr & ~kMxcsrMask) != 0) raise(x86::Vector::GeneralProtection, 0);
  Fpu& fpu = cpu.fpu;
  fpu.control = x87::control_word(take<std::uint16_t>(area, 0));
  fpu.status = take<std::uint16_t>(area, 2);
  fpu.empty = static_cast<std::uint8_t>(~take<std::uint8_t>(area, 4));
  fpu.opcode = take<std::uint16_t>(area, 6) & x87::kOpcodeMask;
  if constexpr (kPointers == Pointers::Offset64) {
    fpu.instruction_pointer = take<std::uint64_t>(area, 8);
    fpu.data_pointer = take<std::uint64_t>(area, 16);
    fpu.instruction_selector = fpu.data_selector = 0;
  } else {
    fpu.instruction_pointer = take<std::uint32_t>(area, 8);
    fpu.instruction_selector = take<std::uint16_t>(area, 12);
    fpu.data_pointer = take<std::uint32_t>(area, 16);
    fpu.data_selector = take<std::uint16_t>(area, 20);
  }
  for (unsigned i = 0; i < 8; ++i) {
    fpu.st(i) = {take<std::uint64_t>(area, kX87Registers + 16 * i),
                 take<std::uint16_t>(area, kX87Registers + 16 * i + 8)};
  }
  x87::update_summary(fpu);
  if (!with_sse(cpu)) return;
  fpu.mxcsr = mxcsr;
  for (unsigned i = 0; i < xmm_count(cpu); ++i)
    fpu.xmm[i] = take<Xmm>(area, kXmmRegisters + 16 * i);
}

void ldmxcsr(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  const auto value = load_vector<std::uint32_t>(cpu, insn);
  if ((value & ~kMxcsrMask) != 0) raise(x86::Vector::GeneralProtection, 0);
  cpu.fpu.mxcsr = value;
}
void stmxcsr(Cpu& cpu, const Insn& insn) {
  check_sse(cpu);
  store_vector(cpu, insn, cpu.fpu.mxcsr);
}

template <Handler kHandler>
bool lower_with_memory(const Decoded& decoded, Insn& insn) {
  if (decoded.insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !decoded.is_memory(0))
    return false;
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
  table.add(ZYDIS_MNEMONIC_LDMXCSR, lower_with_memory<ldmxcsr>);
  table.add(ZYDIS_MNEMONIC_STMXCSR, lower_with_memory<stmxcsr>);
}

}  // namespace ringside::soft
