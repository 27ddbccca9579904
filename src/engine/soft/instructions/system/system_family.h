// The system instructions: what they share, and the parts of register_system, one per file.
#pragma once

#include <cstdint>

#include "engine/soft/cpu/cpu.h"
#include "engine/soft/decode/lower.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {

// #GP(0) outside ring 0. Virtual-8086 code is ring 3.
inline void require_ring0(const Cpu& cpu) {
  if (cpu.cpl() != 0) raise(x86::Vector::GeneralProtection, 0);
}
// SGDT SIDT SLDT SMSW STR under CR4.UMIP (SDM 3A 2.5).
inline void require_umip_allows(const Cpu& cpu) {
  if ((cpu.cr4 & x86::cr4::UMIP) != 0) require_ring0(cpu);
}
// LLDT LTR LAR LSL VERR VERW ARPL know no paragraphs.
inline void require_selectors(const Cpu& cpu) {
  if (cpu.real_addressing()) raise(x86::Vector::InvalidOpcode);
}

void register_control(LowerTable& table);      // system_registers.cc: CRn, DRn, TLB, caches, HLT
void register_tables(LowerTable& table);       // system_tables.cc: descriptor tables and selectors
void register_flags(LowerTable& table);        // system_flags.cc: PUSHF POPF CLI STI CLAC STAC
void register_misc_system(LowerTable& table);  // system_misc.cc: I/O, MSRs, time, CPUID, PKRU

// What decode() is to know of control registers, MSRs, descriptor tables, ports, HLT and their
// like.
void register_system(LowerTable& table);

}  // namespace ringside::soft
