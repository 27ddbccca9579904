// PUSHF POPF CLI STI CLAC STAC, and the rules by which POPF and IRET load RFLAGS.
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/system_family.h"
#include "engine/soft/instructions/system/transfers.h"

namespace ringside::soft {
namespace {

using namespace x86::rflags;
using x86::Vector;

template <typename T>
void pushf(Cpu& cpu, const Insn&) {
  if (cpu.virtual_8086() && cpu.flags.iopl() < 3) raise(Vector::GeneralProtection, 0);
  cpu.push<T>(static_cast<T>(cpu.flags.value() & ~(VM | RF)));
}

template <typename T>
void popf(Cpu& cpu, const Insn& insn) {
  if (cpu.virtual_8086() && cpu.flags.iopl() < 3) raise(Vector::GeneralProtection, 0);
  load_flags(cpu, cpu.pop<T>(), insn.operand_width, FlagsFrom::Popf);
}

// SDM 2A CLI, 2B STI. VME and PVI are not announced, so IOPL alone decides.
void require_interrupt_flag(const Cpu& cpu) {
  if (cpu.protected_mode() && cpu.cpl() > cpu.flags.iopl()) raise(Vector::GeneralProtection, 0);
}
void cli(Cpu& cpu, const Insn&) {
  require_interrupt_flag(cpu);
  cpu.flags.set_system(IF, false);
}
void sti(Cpu& cpu, const Insn&) {
  require_interrupt_flag(cpu);
  if (cpu.flags.interrupts()) return;
  cpu.flags.set_system(IF, true);
  cpu.shadow_after_sti();
}

template <bool kOn>
void set_ac(Cpu& cpu, const Insn&) {
  if (cpu.cpl() != 0) raise(Vector::InvalidOpcode);
  cpu.flags.set_system(AC, kOn);
  cpu.update_mode();
}

}  // namespace

void load_flags(Cpu& cpu, std::uint64_t value, Width width, FlagsFrom from) {
  std::uint64_t loaded = kArithmetic | TF | DF | NT;
  std::uint64_t cleared = RF;
  if (width != Width::Bits16) {
    loaded |= AC | ID;
    if (from == FlagsFrom::Iret) loaded |= RF;
    if (cpu.cpl() == 0 && from == FlagsFrom::Iret) loaded |= VIF | VIP;
    if (from == FlagsFrom::Popf && !cpu.virtual_8086()) cleared |= VIF | VIP;
  }
  if (cpu.cpl() == 0) loaded |= IOPL;
  if (cpu.cpl() <= cpu.flags.iopl()) loaded |= IF;
  const std::uint64_t before = cpu.flags.value();
  cpu.flags.set_value((before & ~(loaded | cleared)) | (value & loaded));
  const std::uint64_t changed = before ^ cpu.flags.value();
  if ((changed & AC) != 0) cpu.update_mode();
  if ((changed & (IF | TF)) != 0) cpu.leave_soon();
}

void register_flags(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_PUSHF, lower_plain<pushf<std::uint16_t>>);
  table.add(ZYDIS_MNEMONIC_PUSHFD, lower_plain<pushf<std::uint32_t>>);
  table.add(ZYDIS_MNEMONIC_PUSHFQ, lower_plain<pushf<std::uint64_t>>);
  table.add(ZYDIS_MNEMONIC_POPF, lower_plain<popf<std::uint16_t>>);
  table.add(ZYDIS_MNEMONIC_POPFD, lower_plain<popf<std::uint32_t>>);
  table.add(ZYDIS_MNEMONIC_POPFQ, lower_plain<popf<std::uint64_t>>);
  table.add(ZYDIS_MNEMONIC_CLI, lower_plain<cli>);
  table.add(ZYDIS_MNEMONIC_STI, lower_plain<sti>);
  table.add(ZYDIS_MNEMONIC_CLAC, lower_plain<set_ac<false>>);
  table.add(ZYDIS_MNEMONIC_STAC, lower_plain<set_ac<true>>);
}

}  // namespace ringside::soft
