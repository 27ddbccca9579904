// SYSCALL, SYSRET, SYSENTER, SYSEXIT: fixed flat segments, no descriptor is read (SDM
// 3A 5.8.7, 5.8.8).
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/segments.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/transfers.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using x86::Gpr;
using x86::SegmentName;
using x86::Vector;

constexpr std::uint64_t kSysretFlags = 0x3c7fd7;  // SDM 2B, SYSRET: no RF, no VM

x86::Segment flat(std::uint64_t selector, std::uint16_t attributes, unsigned dpl) {
  return {with_rpl(static_cast<std::uint16_t>(selector), dpl),
          static_cast<std::uint16_t>(attributes | dpl << 5), 0xffffffff, 0};
}

void enter_flat(Cpu& cpu, std::uint64_t cs, std::uint64_t ss, unsigned cpl, bool code64) {
  cpu.seg(SegmentName::Cs) =
      flat(cs, code64 ? x86::kAttributesCode64 : x86::kAttributesCode32, cpl);
  cpu.seg(SegmentName::Ss) = flat(ss, x86::kAttributesData32, cpl);
  cpu.set_cpl(cpl);
  cpu.update_mode();
}

// TF of the flags before decides on the trap after an instruction. These two replace the flags in a
// transfer like that through the IDT, and Intel's processors trap by what the new flags say.
void lose_trap_unless_set(Cpu& cpu) {
  if (!cpu.flags.tf()) cpu.event_delivered = true;
}

void syscall(Cpu& cpu, const Insn&) {
  if (!cpu.code64() || (cpu.efer & x86::efer::SCE) == 0) raise(Vector::InvalidOpcode);
  cpu.reg(Gpr::Rcx) = cpu.rip();
  cpu.reg(Gpr::R11) = cpu.flags.value() & ~x86::rflags::RF;
  cpu.flags.set_value(cpu.flags.value() & ~(cpu.sfmask | x86::rflags::RF));
  cpu.rip() = cpu.lstar;
  const std::uint64_t cs = cpu.star >> 32 & 0xfffc;
  enter_flat(cpu, cs, cs + 8, 0, true);
  lose_trap_unless_set(cpu);
  cpu.leave_soon();
}

void sysret(Cpu& cpu, const Insn& insn) {
  if (!cpu.code64() || (cpu.efer & x86::efer::SCE) == 0) raise(Vector::InvalidOpcode);
  if (cpu.cpl() != 0) raise(Vector::GeneralProtection, 0);
  const bool to_code64 = insn.operand_width == Width::Bits64;
  const std::uint64_t target = cpu.reg(Gpr::Rcx);
  // The check is made at CPL 0, which makes it famous.
  if (to_code64 && !cpu.canonical(target)) raise(Vector::GeneralProtection, 0);
  cpu.flags.set_value((cpu.reg(Gpr::R11) & kSysretFlags) | x86::rflags::Fixed);
  cpu.rip() = to_code64 ? target : target & 0xffffffff;
  const std::uint64_t base = cpu.star >> 48;
  enter_flat(cpu, to_code64 ? base + 16 : base, base + 8, 3, to_code64);
  cpu.leave_soon();
}

void sysenter(Cpu& cpu, const Insn&) {
  if (!cpu.protected_mode() || (cpu.sysenter_cs & 0xfffc) == 0) {
    raise(Vector::GeneralProtection, 0);
  }
  const bool long_mode = cpu.long_mode();
  const std::uint64_t mask = long_mode ? ~std::uint64_t{0} : 0xffffffff;
  cpu.flags.set_system(x86::rflags::VM | x86::rflags::IF | x86::rflags::RF, false);
  cpu.reg(Gpr::Rsp) = cpu.sysenter_esp & mask;
  cpu.rip() = cpu.sysenter_eip & mask;
  const std::uint64_t cs = cpu.sysenter_cs & 0xfffc;
  enter_flat(cpu, cs, cs + 8, 0, long_mode);
  cpu.leave_soon();
}

void sysexit(Cpu& cpu, const Insn& insn) {
  const std::uint64_t base = cpu.sysenter_cs & 0xfffc;
  if (!cpu.protected_mode() || base == 0 || cpu.cpl() != 0) raise(Vector::GeneralProtection, 0);
  const bool to_code64 = insn.operand_width == Width::Bits64;
  const std::uint64_t mask = to_code64 ? ~std::uint64_t{0} : 0xffffffff;
  const std::uint64_t rip = cpu.reg(Gpr::Rdx) & mask;
  const std::uint64_t rsp = cpu.reg(Gpr::Rcx) & mask;
  if (to_code64 && (!cpu.canonical(rip) || !cpu.canonical(rsp)))
    raise(Vector::GeneralProtection, 0);
  cpu.reg(Gpr::Rsp) = rsp;
  cpu.rip() = rip;
  const std::uint64_t cs = base + (to_code64 ? 32 : 16);
  enter_flat(cpu, cs, cs + 8, 3, to_code64);
}

}  // namespace

void register_fast_calls(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_SYSCALL, lower_plain<syscall>);
  table.add(ZYDIS_MNEMONIC_SYSRET, lower_plain<sysret>);
  table.add(ZYDIS_MNEMONIC_SYSENTER, lower_plain<sysenter>);
  table.add(ZYDIS_MNEMONIC_SYSEXIT, lower_plain<sysexit>);
}

}  // namespace ringside::soft
