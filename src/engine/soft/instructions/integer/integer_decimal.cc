// AAA AAS AAM AAD DAA DAS (SDM 2A), absent in 64-bit mode.
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

constexpr std::uint8_t kAl = 0, kAh = 1, kAx = 0;

// CF and AF as given; SF, ZF and PF from AL (undefined for AAA and AAS).
void set_flags(Cpu& cpu, std::uint8_t al, bool carry, bool aux) {
  cpu.flags.set_result_with<std::uint8_t>(al, carry, false, aux);
}

template <int kSign>
void ascii_adjust(Cpu& cpu, const Insn&) {
  auto ax = cpu.get<std::uint16_t>(kAx);
  const bool adjust = (ax & 15) > 9 || cpu.flags.af();
  if (adjust) ax = static_cast<std::uint16_t>(ax + kSign * 0x106);
  ax &= 0xff0f;
  set_flags(cpu, static_cast<std::uint8_t>(ax), adjust, adjust);
  cpu.set<std::uint16_t>(kAx, ax);
}

template <int kSign>
void decimal_adjust(Cpu& cpu, const Insn&) {
  const auto old = cpu.get<std::uint8_t>(kAl);
  const bool old_carry = cpu.flags.cf();
  std::uint8_t al = old;
  bool carry = false;
  const bool aux = (old & 15) > 9 || cpu.flags.af();
  if (aux) {
    const int adjusted = al + kSign * 6;
    // DAS alone reports the borrow of this step (SDM 2A DAS); for DAA the next step covers it.
    carry = old_carry || adjusted < 0 || adjusted > 0xff;
    al = static_cast<std::uint8_t>(adjusted);
  }
  if (old > 0x99 || old_carry) {
    al = static_cast<std::uint8_t>(al + kSign * 0x60);
    carry = true;
  }
  set_flags(cpu, al, carry, aux);
  cpu.set<std::uint8_t>(kAl, al);
}

void aam(Cpu& cpu, const Insn& insn) {
  const auto base = static_cast<std::uint8_t>(insn.immediate);
  if (base == 0) raise(x86::Vector::DivideError);
  const auto al = cpu.get<std::uint8_t>(kAl);
  const auto low = static_cast<std::uint8_t>(al % base);
  cpu.set<std::uint8_t>(kAh, static_cast<std::uint8_t>(al / base));
  cpu.set<std::uint8_t>(kAl, low);
  set_flags(cpu, low, false, false);
}

void aad(Cpu& cpu, const Insn& insn) {
  const auto al = static_cast<std::uint8_t>(cpu.get<std::uint8_t>(kAl) +
                                            cpu.get<std::uint8_t>(kAh) * insn.immediate);
  cpu.set<std::uint16_t>(kAx, al);
  set_flags(cpu, al, false, false);
}

}  // namespace

void register_decimal(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_AAA, lower_plain<ascii_adjust<1>>);
  table.add(ZYDIS_MNEMONIC_AAS, lower_plain<ascii_adjust<-1>>);
  table.add(ZYDIS_MNEMONIC_DAA, lower_plain<decimal_adjust<1>>);
  table.add(ZYDIS_MNEMONIC_DAS, lower_plain<decimal_adjust<-1>>);
  table.add(ZYDIS_MNEMONIC_AAM, lower_plain<aam>);
  table.add(ZYDIS_MNEMONIC_AAD, lower_plain<aad>);
}

}  // namespace ringside::soft
