// Flag instructions, XLAT, BOUND, SALC, the undefined opcodes, and what does nothing here: NOPs,
// prefetches and fences (CPUs take turns, so memory is always in order).
#include "engine/soft/cpu/board.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using namespace x86::rflags;

constexpr std::uint8_t kAl = 0, kAh = 1, kRbx = 3;
constexpr std::uint64_t kAhFlags = SF | ZF | AF | PF | CF;

// A vCPU that spins waits for another one, which runs sooner if this one gives up its turn.
void pause(Cpu& cpu, const Insn&) {
  if (cpu.board().cpus.size() == 1) return;
  cpu.ends_turn = true;
  cpu.yield_soon();
}
void nop(Cpu&, const Insn&) {}
void clc(Cpu& cpu, const Insn&) { cpu.flags.set_cf(false); }
void stc(Cpu& cpu, const Insn&) { cpu.flags.set_cf(true); }
void cmc(Cpu& cpu, const Insn&) { cpu.flags.set_cf(!cpu.flags.cf()); }
void cld(Cpu& cpu, const Insn&) { cpu.flags.set_system(DF, false); }
void std_(Cpu& cpu, const Insn&) { cpu.flags.set_system(DF, true); }

void lahf(Cpu& cpu, const Insn&) {
  cpu.set<std::uint8_t>(kAh,
                        static_cast<std::uint8_t>((cpu.flags.arithmetic() & kAhFlags) | Fixed));
}
void sahf(Cpu& cpu, const Insn&) {
  cpu.flags.set_arithmetic((cpu.flags.arithmetic() & OF) | (cpu.get<std::uint8_t>(kAh) & kAhFlags));
}
void salc(Cpu& cpu, const Insn&) { cpu.set<std::uint8_t>(kAl, cpu.flags.cf() ? 0xff : 0); }

void ud(Cpu&, const Insn&) { raise(x86::Vector::InvalidOpcode); }

// Faults as a byte load would (SDM 2A CLFLUSH), without touching a device.
void clflush(Cpu& cpu, const Insn& insn) {
  cpu.translate(cpu.linear(insn, 1, AccessKind::Read), AccessKind::Read, cpu.privilege());
}

void xlat(Cpu& cpu, const Insn& insn) {
  const std::uint64_t offset = (cpu.gpr[kRbx] + cpu.get<std::uint8_t>(kAl)) &
                               Cpu::kWidthMask[static_cast<unsigned>(insn.address_width)];
  cpu.set<std::uint8_t>(
      kAl, cpu.load<std::uint8_t>(cpu.segmented(insn.segment, offset, 1, AccessKind::Read)));
}

template <typename T>
void bound(Cpu& cpu, const Insn& insn) {
  using Signed = std::make_signed_t<T>;
  const std::uint64_t linear = cpu.linear(insn, 2 * sizeof(T), AccessKind::Read);
  const auto lower = static_cast<Signed>(cpu.load<T>(linear));
  const auto upper = static_cast<Signed>(cpu.load<T>(linear + sizeof(T)));
  const auto index = static_cast<Signed>(cpu.get<T>(insn.reg));
  if (index < lower || index > upper) raise(x86::Vector::BoundRange);
}

bool lower_xlat(const Decoded& decoded, Insn& insn) {
  for (unsigned i = 0; i < decoded.insn.operand_count; ++i) {
    if (decoded.is_memory(i)) lower_memory(decoded, i, insn);
  }
  insn.execute = xlat;
  return true;
}

bool lower_bound(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  insn.execute = decoded.width(0) == Width::Bits16 ? bound<std::uint16_t> : bound<std::uint32_t>;
  return true;
}

bool lower_clflush(const Decoded& decoded, Insn& insn) {
  lower_memory(decoded, 0, insn);
  insn.execute = clflush;
  return true;
}

}  // namespace

void register_misc(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_CLC, lower_plain<clc>);
  table.add(ZYDIS_MNEMONIC_STC, lower_plain<stc>);
  table.add(ZYDIS_MNEMONIC_CMC, lower_plain<cmc>);
  table.add(ZYDIS_MNEMONIC_CLD, lower_plain<cld>);
  table.add(ZYDIS_MNEMONIC_STD, lower_plain<std_>);
  table.add(ZYDIS_MNEMONIC_LAHF, lower_plain<lahf>);
  table.add(ZYDIS_MNEMONIC_SAHF, lower_plain<sahf>);
  table.add(ZYDIS_MNEMONIC_SALC, lower_plain<salc>);
  table.add(ZYDIS_MNEMONIC_XLAT, lower_xlat);
  table.add(ZYDIS_MNEMONIC_BOUND, lower_bound);
  table.add({ZYDIS_MNEMONIC_UD0, ZYDIS_MNEMONIC_UD1, ZYDIS_MNEMONIC_UD2}, lower_plain<ud>);
  table.add(ZYDIS_MNEMONIC_CLFLUSH, lower_clflush);
  table.add(ZYDIS_MNEMONIC_PAUSE, lower_plain<pause>);
  table.add({ZYDIS_MNEMONIC_NOP, ZYDIS_MNEMONIC_PREFETCH, ZYDIS_MNEMONIC_PREFETCHNTA,
             ZYDIS_MNEMONIC_PREFETCHT0, ZYDIS_MNEMONIC_PREFETCHT1, ZYDIS_MNEMONIC_PREFETCHT2,
             ZYDIS_MNEMONIC_PREFETCHW, ZYDIS_MNEMONIC_PREFETCHWT1, ZYDIS_MNEMONIC_LFENCE,
             ZYDIS_MNEMONIC_MFENCE, ZYDIS_MNEMONIC_SFENCE},
            lower_plain<nop>);
}

}  // namespace ringside::soft
