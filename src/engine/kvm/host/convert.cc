#include "engine/kvm/host/convert.h"

#include <cstring>

namespace ringside::kvm {
namespace {

using x86::Gpr;
using x86::SegmentName;

template <typename General, typename Visit>
void each_general(General& regs, Visit visit) {
  visit(Gpr::Rax, regs.rax);
  visit(Gpr::Rbx, regs.rbx);
  visit(Gpr::Rcx, regs.rcx);
  visit(Gpr::Rdx, regs.rdx);
  visit(Gpr::Rsi, regs.rsi);
  visit(Gpr::Rdi, regs.rdi);
  visit(Gpr::Rsp, regs.rsp);
  visit(Gpr::Rbp, regs.rbp);
  visit(Gpr::R8, regs.r8);
  visit(Gpr::R9, regs.r9);
  visit(Gpr::R10, regs.r10);
  visit(Gpr::R11, regs.r11);
  visit(Gpr::R12, regs.r12);
  visit(Gpr::R13, regs.r13);
  visit(Gpr::R14, regs.r14);
  visit(Gpr::R15, regs.r15);
}

template <typename System, typename Visit>
void each_segment(System& sregs, Visit visit) {
  visit(SegmentName::Es, sregs.es);
  visit(SegmentName::Cs, sregs.cs);
  visit(SegmentName::Ss, sregs.ss);
  visit(SegmentName::Ds, sregs.ds);
  visit(SegmentName::Fs, sregs.fs);
  visit(SegmentName::Gs, sregs.gs);
}

x86::Segment to_segment(const kvm_segment& from) {
  x86::Segment to;
  to.selector = from.selector;
  to.base = from.base;
  to.limit = from.limit;
  if (from.unusable != 0) return to;
  to.attributes =
      static_cast<std::uint16_t>(from.type | from.s << 4 | from.dpl << 5 | from.present << 7 |
                                 from.avl << 12 | from.l << 13 | from.db << 14 | from.g << 15);
  return to;
}

kvm_segment from_segment(const x86::Segment& from) {
  kvm_segment to{};
  to.selector = from.selector;
  to.base = from.base;
  to.limit = from.limit;
  to.type = static_cast<std::uint8_t>(from.type());
  to.s = from.is_code_or_data();
  to.dpl = static_cast<std::uint8_t>(from.dpl());
  to.present = from.present();
  to.avl = (from.attributes & 0x1000) != 0;
  to.l = from.long_mode();
  to.db = from.big();
  to.g = from.granular();
  to.unusable = from.unusable();
  return to;
}

// The 2-bit tags of FSTENV from FXSAVE's abridged one: an occupied register is valid, zero or
// special by its value (SDM 1 8.1.7).
std::uint16_t full_tag(const kvm_fpu& fpu) {
  std::uint16_t tag = 0;
  const unsigned top = (fpu.fsw >> 11) & 7;
  for (unsigned physical = 0; physical < 8; ++physical) {
    unsigned two_bits = 3;
    if ((fpu.ftwx >> physical & 1) != 0) {
      const std::uint8_t* st = fpu.fpr[(physical - top) & 7];
      std::uint64_t significand;
      std::uint16_t exponent;
      std::memcpy(&significand, st, 8);
      std::memcpy(&exponent, st + 8, 2);
      exponent &= 0x7fff;
      if (exponent == 0x7fff || (significand != 0 && (significand >> 63) == 0)) {
        two_bits = 2;
      } else if (exponent == 0) {
        two_bits = significand == 0 ? 1 : 2;
      } else {
        two_bits = 0;
      }
    }
    tag = static_cast<std::uint16_t>(tag | two_bits << (2 * physical));
  }
  return tag;
}

std::uint8_t abridged_tag(std::uint16_t tag) {
  unsigned result = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if ((tag >> (2 * i) & 3) != 3) result |= 1u << i;
  }
  return static_cast<std::uint8_t>(result);
}

}  // namespace

x86::CpuState to_state(const Registers& registers) {
  x86::CpuState state;
  each_general(registers.general, [&](Gpr name, auto value) { state.reg(name) = value; });
  state.rip = registers.general.rip;
  state.rflags = registers.general.rflags;
  const kvm_sregs& sregs = registers.system;
  each_segment(sregs, [&](SegmentName name, const kvm_segment& segment) {
    state.seg(name) = to_segment(segment);
  });
  state.ldtr = to_segment(sregs.ldt);
  state.tr = to_segment(sregs.tr);
  state.gdtr = {sregs.gdt.base, sregs.gdt.limit};
  state.idtr = {sregs.idt.base, sregs.idt.limit};
  state.cr0 = sregs.cr0;
  state.cr2 = sregs.cr2;
  state.cr3 = sregs.cr3;
  state.cr4 = sregs.cr4;
  state.cr8 = sregs.cr8;
  state.efer = sregs.efer;
  state.apic_base = sregs.apic_base;
  state.pkru = registers.pkru;
  for (std::size_t i = 0; i < 4; ++i)
    state.dr[i] = registers.debug.db[i];
  state.dr6 = registers.debug.dr6;
  state.dr7 = registers.debug.dr7;
  const kvm_fpu& fpu = registers.fpu;
  state.fpu.control = fpu.fcw;
  state.fpu.status = fpu.fsw;
  state.fpu.tag = full_tag(fpu);
  state.fpu.opcode = fpu.last_opcode;
  state.fpu.instruction_pointer = fpu.last_ip;
  state.fpu.data_pointer = fpu.last_dp;
  state.fpu.mxcsr = fpu.mxcsr;
  for (std::size_t i = 0; i < 8; ++i)
    std::memcpy(state.fpu.st[i].data(), fpu.fpr[i], 10);
  for (std::size_t i = 0; i < 16; ++i) {
    std::memcpy(state.fpu.vector[i].data(), fpu.xmm[i], 16);
    std::memcpy(state.fpu.vector[i].data() + 16, registers.ymm_high[i].data(), 16);
  }
  return state;
}

void from_state(const x86::CpuState& state, Registers& registers) {
  each_general(registers.general, [&](Gpr name, auto& value) { value = state.reg(name); });
  registers.general.rip = state.rip;
  registers.general.rflags = state.rflags;
  kvm_sregs& sregs = registers.system;
  each_segment(sregs, [&](SegmentName name, kvm_segment& segment) {
    segment = from_segment(state.seg(name));
  });
  sregs.ldt = from_segment(state.ldtr);
  sregs.tr = from_segment(state.tr);
  sregs.gdt.base = state.gdtr.base;
  sregs.gdt.limit = state.gdtr.limit;
  sregs.idt.base = state.idtr.base;
  sregs.idt.limit = state.idtr.limit;
  sregs.cr0 = state.cr0;
  sregs.cr2 = state.cr2;
  sregs.cr3 = state.cr3;
  sregs.cr4 = state.cr4;
  sregs.cr8 = state.cr8;
  sregs.efer = state.efer;
  sregs.apic_base = state.apic_base;
  registers.pkru = state.pkru;
  for (std::size_t i = 0; i < 4; ++i)
    registers.debug.db[i] = state.dr[i];
  registers.debug.dr6 = state.dr6;
  registers.debug.dr7 = state.dr7;
  kvm_fpu& fpu = registers.fpu;
  fpu.fcw = state.fpu.control;
  fpu.fsw = state.fpu.status;
  fpu.ftwx = abridged_tag(state.fpu.tag);
  fpu.last_opcode = state.fpu.opcode;
  fpu.last_ip = state.fpu.instruction_pointer;
  fpu.last_dp = state.fpu.data_pointer;
  fpu.mxcsr = state.fpu.mxcsr;
  for (std::size_t i = 0; i < 8; ++i)
    std::memcpy(fpu.fpr[i], state.fpu.st[i].data(), 10);
  for (std::size_t i = 0; i < 16; ++i) {
    std::memcpy(fpu.xmm[i], state.fpu.vector[i].data(), 16);
    std::memcpy(registers.ymm_high[i].data(), state.fpu.vector[i].data() + 16, 16);
  }
}

}  // namespace ringside::kvm
