// INT n, INT3, INTO, INT1 and IRET (SDM 2A INT n, IRET).
#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/debug_registers.h"
#include "engine/soft/cpu/tasks.h"
#include "engine/soft/instructions/integer/integer.h"
#include "engine/soft/instructions/system/transfers.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

using x86::SegmentName;
using x86::Vector;

void int_n(Cpu& cpu, const Insn& insn) {
  // Virtual-8086 code needs IOPL 3 for INT n, not for INT3 and INTO (SDM 3B 20.2.7).
  if (cpu.virtual_8086() && cpu.flags.iopl() < 3) raise(Vector::GeneralProtection, 0);
  const auto vector = static_cast<std::uint8_t>(insn.immediate);
  check_own_event(cpu, caught_interrupt(vector, hypervisor::exit::Caught::Source::Instruction));
  deliver(cpu, {EventType::SoftwareInterrupt, vector, {}});
}

void int3(Cpu& cpu, const Insn& insn) {
  if (cpu.breakpoint_exit) {
    cpu.rip() = cpu.insn_rip;
    cpu.retired = false;
    cpu.pending_exit = hypervisor::exit::Breakpoint{insn.length};
    cpu.leave_soon();
    return;
  }
  check_own_event(cpu, caught_exception({Vector::Breakpoint, {}, 0}));
  deliver(cpu, {EventType::SoftwareException, static_cast<std::uint8_t>(Vector::Breakpoint), {}});
}

void into(Cpu& cpu, const Insn&) {
  if (!cpu.flags.of()) return;
  check_own_event(cpu, caught_exception({Vector::Overflow, {}, 0}));
  deliver(cpu, {EventType::SoftwareException, static_cast<std::uint8_t>(Vector::Overflow), {}});
}

void int1(Cpu& cpu, const Insn&) {
  check_own_event(cpu, caught_exception({Vector::Debug, {}, 0}));
  deliver(cpu, {EventType::PrivilegedSoftware, static_cast<std::uint8_t>(Vector::Debug), {}});
  cpu.dr7 &= ~x86::dr7::GD;
}

void iret_real(Cpu& cpu, Width width) {
  const unsigned size = bytes_of(width);
  const std::uint64_t offset = peek(cpu, width, 0);
  const auto selector = static_cast<std::uint16_t>(peek(cpu, width, size));
  const std::uint64_t flags = peek(cpu, width, 2 * size);
  if (offset > cpu.seg(SegmentName::Cs).limit) raise(Vector::GeneralProtection, 0);
  cpu.set_rsp(cpu.rsp() + 3 * size);
  load_real_segment(cpu, SegmentName::Cs, selector);
  cpu.rip() = offset;
  load_flags(cpu, flags, width, FlagsFrom::Iret);
}

// SDM 3B 20.2.5: the frame holds all segment registers.
void iret_to_8086(Cpu& cpu, std::uint64_t offset, std::uint16_t selector, std::uint64_t flags) {
  const std::uint64_t rsp = peek(cpu, Width::Bits32, 12);
  std::array<std::uint16_t, 5> selectors{};
  for (unsigned i = 0; i < 5; ++i) {
    selectors[i] = static_cast<std::uint16_t>(peek(cpu, Width::Bits32, 16 + 4 * i));
  }
  if (offset > 0xffff) raise(Vector::GeneralProtection, 0);
  cpu.flags.set_value(flags);
  load_real_segment(cpu, SegmentName::Cs, selector);
  constexpr SegmentName kOrder[] = {SegmentName::Ss, SegmentName::Es, SegmentName::Ds,
                                    SegmentName::Fs, SegmentName::Gs};
  for (unsigned i = 0; i < 5; ++i)
    load_real_segment(cpu, kOrder[i], selectors[i]);
  cpu.reg(x86::Gpr::Rsp) = rsp;
  cpu.rip() = offset;
}

void iret_protected(Cpu& cpu, Width width) {
  const unsigned size = bytes_of(width);
  const std::uint64_t offset = peek(cpu, width, 0);
  const auto selector = static_cast<std::uint16_t>(peek(cpu, width, size));
  const std::uint64_t flags = peek(cpu, width, 2 * size);
  if (!cpu.long_mode() && width == Width::Bits32 && cpu.cpl() == 0 &&
      (flags & x86::rflags::VM) != 0) {
    iret_to_8086(cpu, offset, selector, flags);
    return;
  }
  Descriptor code = read_return_code(cpu, selector);
  const unsigned cpl = rpl_of(selector);
  const bool outward = cpl > cpu.cpl();
  // 64-bit code always takes SS and RSP as well (SDM 3A 6.14.3).
  if (outward || cpu.code64()) {
    const std::uint64_t rsp = peek(cpu, width, 3 * size);
    const auto ss = static_cast<std::uint16_t>(peek(cpu, width, 4 * size));
    Descriptor stack = read_return_stack(cpu, ss, cpl, is_code64(cpu, code.segment));
    check_code_offset(cpu, code.segment, offset);
    mark_accessed(cpu, code);
    if (!is_null(ss)) mark_accessed(cpu, stack);
    load_flags(cpu, flags, width, FlagsFrom::Iret);  // with the privilege that executes IRET
    enter_with_stack(cpu, code, stack, rsp, cpl);
    if (outward) drop_privileged_segments(cpu);
  } else {
    check_code_offset(cpu, code.segment, offset);
    mark_accessed(cpu, code);
    load_flags(cpu, flags, width, FlagsFrom::Iret);
    cpu.set_rsp(cpu.rsp() + 3 * size);
    enter_code(cpu, code, cpl);
  }
  cpu.rip() = offset;
}

// RF holds off a breakpoint on the one instruction that IRET returns to. Where none can be, that is
// the same as its having been executed, and nobody needs to look at RF after every instruction.
void drop_unused_rf(Cpu& cpu) {
  if (cpu.flags.rf() && !breaks_on_execution(cpu)) cpu.flags.set_system(x86::rflags::RF, false);
}

void iret(Cpu& cpu, const Insn& insn) {
  if (cpu.virtual_8086() && cpu.flags.iopl() < 3) raise(Vector::GeneralProtection, 0);
  // Even an IRET that faults ends the blocking (SDM 3A 6.7.1, 3C 25.3).
  cpu.nmi_blocked = false;
  if (cpu.real_addressing()) {
    iret_real(cpu, insn.operand_width);
  } else if (!cpu.flags.nt()) {
    iret_protected(cpu, insn.operand_width);
  } else if (cpu.long_mode()) {
    raise(Vector::GeneralProtection, 0);
  } else {
    return_to_previous_task(cpu);
  }
  cpu.update_mode();
  drop_unused_rf(cpu);
  cpu.leave_soon();
}

}  // namespace

void register_interrupts(LowerTable& table) {
  table.add(ZYDIS_MNEMONIC_INT, lower_plain<int_n>);
  table.add(ZYDIS_MNEMONIC_INT3, lower_plain<int3>);
  table.add(ZYDIS_MNEMONIC_INTO, lower_plain<into>);
  table.add(ZYDIS_MNEMONIC_INT1, lower_plain<int1>);
  table.add({ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ}, lower_plain<iret>);
}

}  // namespace ringside::soft
