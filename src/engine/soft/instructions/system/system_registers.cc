// Control and debug registers, TLB and caches, HLT (SDM 3A chapter 2, 3B 17.2).
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/cpuid.h"
#include "engine/soft/cpu/debug_registers.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/system_family.h"

namespace ringside::soft {
namespace {

namespace cr4 = x86::cr4;
using x86::Vector;

// MOV to and from these registers has the width of the mode, whatever the prefixes.
std::uint64_t register_mask(const Cpu& cpu) {
  return cpu.code64() ? ~std::uint64_t{0} : 0xffffffff;
}

void note_write(Cpu& cpu, unsigned control_register, std::uint64_t value) {
  hypervisor::exit::Caught write;
  write.kind = hypervisor::CatchKind::ControlRegister;
  write.number = control_register;
  write.value = value;
  note_caught(cpu, write);
}

void mov_from_cr(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  std::uint64_t value = 0;
  switch (insn.extra) {
    case 0:
      value = cpu.cr0;
      break;
    case 2:
      value = cpu.cr2;
      break;
    case 3:
      value = cpu.cr3;
      break;
    case 4:
      value = cpu.cr4;
      break;
    default:
      value = cpu.board().platform.task_priority(cpu.id());
      break;
  }
  cpu.gpr[insn.rm] = value & register_mask(cpu);
}

void mov_to_cr(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  const std::uint64_t value = cpu.gpr[insn.rm] & register_mask(cpu);
  switch (insn.extra) {
    case 0:
      write_cr0(cpu, value);
      break;
    case 2:
      cpu.cr2 = value;
      break;
    case 3:
      write_cr3(cpu, value);
      break;
    case 4:
      write_cr4(cpu, value);
      break;
    default:
      write_cr8(cpu, value);
      break;
  }
  note_write(cpu, insn.extra, value);
}

// DR4 and DR5 are DR6 and DR7 unless CR4.DE (SDM 3B 17.2.2). Returns 0..3, 6 or 7.
unsigned debug_register(Cpu& cpu, const Insn& insn) {
  unsigned number = insn.extra;
  if (number == 4 || number == 5) {
    if ((cpu.cr4 & cr4::DE) != 0) raise(Vector::InvalidOpcode);
    number += 2;
  }
  require_ring0(cpu);
  if ((cpu.dr7 & x86::dr7::GD) != 0) {
    record_debug_causes(cpu, x86::dr6::BD);
    raise(Vector::Debug);
  }
  return number;
}

void mov_from_dr(Cpu& cpu, const Insn& insn) {
  const unsigned number = debug_register(cpu, insn);
  const std::uint64_t value = number == 7 ? cpu.dr7 : number == 6 ? cpu.dr6 : cpu.dr[number];
  cpu.gpr[insn.rm] = value & register_mask(cpu);
}

void mov_to_dr(Cpu& cpu, const Insn& insn) {
  constexpr std::uint64_t kDr6Writable = 0xe00f, kDr7Writable = 0xffff23ff;
  const unsigned number = debug_register(cpu, insn);
  const std::uint64_t value = cpu.gpr[insn.rm] & register_mask(cpu);
  const std::uint64_t old_dr7 = cpu.dr7;
  if (number < 4) {
    cpu.dr[number] = value;
    debug_registers_changed(cpu, old_dr7);
    return;
  }
  if (value >> 32 != 0) raise(Vector::GeneralProtection, 0);
  if (number == 6) {
    cpu.dr6 = (value & kDr6Writable) | x86::dr6::kReset;
  } else {
    cpu.dr7 = (value & kDr7Writable) | x86::dr7::kReset;
    debug_registers_changed(cpu, old_dr7);
  }
}

void clts(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  cpu.cr0 &= ~x86::cr0::TS;
  note_write(cpu, 0, cpu.cr0);
}

template <bool kMemory>
void lmsw(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  const std::uint64_t value = read_rm<std::uint16_t, kMemory>(cpu, insn);
  // PE can be set but not cleared (SDM 2A, LMSW).
  constexpr std::uint64_t kBits = x86::cr0::MP | x86::cr0::EM | x86::cr0::TS;
  write_cr0(cpu, (cpu.cr0 & ~kBits) | (value & (kBits | x86::cr0::PE)));
  note_write(cpu, 0, cpu.cr0);
}

void smsw_m(Cpu& cpu, const Insn& insn) {
  require_umip_allows(cpu);
  store_operand<std::uint16_t>(cpu, insn, static_cast<std::uint16_t>(cpu.cr0));
}
template <typename T>
void smsw_r(Cpu& cpu, const Insn& insn) {
  require_umip_allows(cpu);
  cpu.set<T>(insn.rm, static_cast<T>(cpu.cr0));
}

void invlpg(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  std::uint64_t linear = cpu.effective_offset(insn);
  // No limit or type is checked (SDM 2A, INVLPG), only the base counts.
  switch (insn.segment) {
    case segment_use::kFlat:
    case segment_use::kFlatStack:
      break;
    case segment_use::kFs64:
    case segment_use::kGs64:
      linear += cpu.segment[insn.segment - 4u].base;
      break;
    default:
      linear = x86::segmented_address(cpu.segment[insn.segment].base, linear);
      break;
  }
  cpu.flush_tlb_page(linear);
}

// SDM 2A, INVPCID. Of a single page, every PCID's translation goes; that is allowed.
void invpcid(Cpu& cpu, const Insn& insn) {
  if (cpu.virtual_8086()) raise(Vector::GeneralProtection, 0);
  require_ring0(cpu);
  const std::uint64_t type = cpu.gpr[insn.reg] & register_mask(cpu);
  const std::uint64_t at = cpu.linear(insn, 16, AccessKind::Read);
  const auto pcid = cpu.load<std::uint64_t>(at);
  const auto linear = cpu.load<std::uint64_t>(at + 8);
  if (type > 3) raise(Vector::GeneralProtection, 0);
  if (type < 2) {
    const bool pcids = (cpu.cr4 & cr4::PCIDE) != 0;
    if (pcid >> 12 != 0 || (!pcids && pcid != 0)) raise(Vector::GeneralProtection, 0);
  }
  if (type == 0) {
    if (!canonical_to_load(linear)) raise(Vector::GeneralProtection, 0);
    cpu.flush_tlb_page(linear);
  } else if (type == 1) {
    cpu.flush_tlb_context(static_cast<std::uint16_t>(pcid));
  } else {
    cpu.flush_tlb();
  }
}

void write_back_caches(Cpu& cpu, const Insn&) { require_ring0(cpu); }  // there are none

void hlt(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  cpu.activity = Activity::Halted;
  cpu.leave_soon();
  hypervisor::exit::Caught halt;
  halt.kind = hypervisor::CatchKind::Halt;
  note_caught(cpu, halt);
}

bool has_class(const Decoded& decoded, unsigned i, ZydisRegisterClass wanted) {
  return decoded.is_register(i) && ZydisRegisterGetClass(decoded.op(i).reg.value) == wanted;
}

bool lower_mov(const Decoded& decoded, Insn& insn) {
  const auto take = [&](ZydisRegisterClass wanted, Handler to, Handler from) {
    const unsigned special = has_class(decoded, 0, wanted) ? 0 : 1;
    if (!has_class(decoded, special, wanted)) return false;
    insn.extra = static_cast<std::uint8_t>(ZydisRegisterGetId(decoded.op(special).reg.value));
    insn.rm = decoded.reg(1 - special);
    insn.execute = special == 0 ? to : from;
    return true;
  };
  return take(ZYDIS_REGCLASS_CONTROL, mov_to_cr, mov_from_cr) ||
         take(ZYDIS_REGCLASS_DEBUG, mov_to_dr, mov_from_dr);
}

bool lower_lmsw(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute = decoded.is_memory(0) ? lmsw<true> : lmsw<false>;
  return true;
}

bool lower_smsw(const Decoded& decoded, Insn& insn) {
  lower_destination(decoded, insn);
  insn.execute =
      decoded.is_memory(0)
          ? smsw_m
          : by_word_width(decoded.width(0), [](auto t) -> Handler { return smsw_r<decltype(t)>; });
  return true;
}

bool lower_invlpg(const Decoded& decoded, Insn& insn) {
  lower_memory(decoded, 0, insn);
  insn.execute = invlpg;
  return true;
}

bool lower_invpcid(const Decoded& decoded, Insn& insn) {
  lower_load_form(decoded, insn);
  // As the decoder has it for INVLPG: what follows may lie in another page now.
  insn.prefixes |= prefix::kEndsBlock;
  insn.execute = invpcid;
  return true;
}

}  // namespace

void register_control(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_MOV, lower_mov);
  table.add(ZYDIS_MNEMONIC_CLTS, lower_plain<clts>);
  table.add(ZYDIS_MNEMONIC_LMSW, lower_lmsw);
  table.add(ZYDIS_MNEMONIC_SMSW, lower_smsw);
  table.add(ZYDIS_MNEMONIC_INVLPG, lower_invlpg);
  table.add(ZYDIS_MNEMONIC_INVPCID, lower_invpcid);
  table.add({ZYDIS_MNEMONIC_WBINVD, ZYDIS_MNEMONIC_INVD}, lower_plain<write_back_caches>);
  table.add(ZYDIS_MNEMONIC_HLT, lower_plain<hlt>);
}

}  // namespace ringside::soft
