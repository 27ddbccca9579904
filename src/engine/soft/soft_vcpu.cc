#include "engine/soft/soft_vcpu.h"

#include <fmt/format.h>

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/control.h"
#include "engine/soft/cpu/msr.h"

namespace ringside::soft {

namespace change = hypervisor::change;

Result<x86::CpuState> SoftVcpu::state() { return cpu.state(); }

Result<void> SoftVcpu::set_state(const x86::CpuState& state) {
  if (const auto why = unknown_bits(cpu, state)) return fail(ErrorCode::BadRequest, *why);
  const bool moves = state.rip != cpu.rip();
  cpu.set_state(state);
  if (moves) note_move();
  tell(change::StateWrite{cpu.id(), state});
  return {};
}

// Whoever writes RIP means to execute what is there, a breakpoint included. After INIT, and after a
// triple fault, there is nothing to execute.
void SoftVcpu::note_move() {
  left_at_breakpoint.reset();
  cpu.forget_caught();
  if (cpu.activity == Activity::Halted || cpu.activity == Activity::WaitingForDevice)
    cpu.activity = Activity::Running;
}

// What conditions and page walks read, a million times a second: without the whole state.
std::optional<std::uint64_t> SoftVcpu::read_plain(x86::Register r) const {
  using x86::Gpr;
  using x86::Register;
  static constexpr Gpr kOrder[] = {Gpr::Rax, Gpr::Rbx, Gpr::Rcx, Gpr::Rdx, Gpr::Rsi, Gpr::Rdi,
                                   Gpr::Rbp, Gpr::Rsp, Gpr::R8,  Gpr::R9,  Gpr::R10, Gpr::R11,
                                   Gpr::R12, Gpr::R13, Gpr::R14, Gpr::R15};
  if (r <= Register::R15)
    return cpu.gpr[static_cast<std::size_t>(kOrder[static_cast<std::size_t>(r)])];
  switch (r) {
    case Register::Rip:
      return cpu.rip();
    case Register::Eflags:
      return cpu.flags.value();
    case Register::Cs:
      return cpu.seg(x86::SegmentName::Cs).selector;
    case Register::Ss:
      return cpu.seg(x86::SegmentName::Ss).selector;
    case Register::Ds:
      return cpu.seg(x86::SegmentName::Ds).selector;
    case Register::Es:
      return cpu.seg(x86::SegmentName::Es).selector;
    case Register::Fs:
      return cpu.seg(x86::SegmentName::Fs).selector;
    case Register::Gs:
      return cpu.seg(x86::SegmentName::Gs).selector;
    case Register::FsBase:
      return cpu.seg(x86::SegmentName::Fs).base;
    case Register::GsBase:
      return cpu.seg(x86::SegmentName::Gs).base;
    case Register::KernelGsBase:
      return cpu.kernel_gs_base;
    case Register::Cr0:
      return cpu.cr0;
    case Register::Cr3:
      return cpu.cr3;
    case Register::Cr4:
      return cpu.cr4;
    case Register::Efer:
      return cpu.efer;
    default:
      return std::nullopt;
  }
}

Result<x86::RegisterValue> SoftVcpu::read_register(x86::Register r) {
  if (const auto value = read_plain(r)) return x86::RegisterValue::from_u64(*value);
  return x86::get_register(cpu.state(), r);
}

Result<void> SoftVcpu::write_register(x86::Register r, const x86::RegisterValue& value) {
  x86::CpuState state = cpu.state();
  x86::set_register(state, r, value);
  if (const auto why = unknown_bits(cpu, state)) return fail(ErrorCode::BadRequest, *why);
  cpu.set_state(state);
  if (r == x86::Register::Rip) note_move();
  tell(change::RegisterWrite{cpu.id(), r, value});
  return {};
}

Result<std::uint64_t> SoftVcpu::read_msr(std::uint32_t number) {
  const auto value = soft::read_msr(cpu, number);
  if (!value) return fail(ErrorCode::NotFound, fmt::format("there is no MSR {:#x}", number));
  return *value;
}

Result<void> SoftVcpu::write_msr(std::uint32_t number, std::uint64_t value) {
  if (!soft::write_msr(cpu, number, value))
    return fail(ErrorCode::BadRequest, fmt::format("MSR {:#x} does not take {:#x}", number, value));
  tell(change::MsrWrite{cpu.id(), number, value});
  return {};
}

Result<void> SoftVcpu::set_capability(hypervisor::Capability capability, bool on) {
  switch (capability) {
    case hypervisor::Capability::BreakpointExit:
      cpu.breakpoint_exit = on;
      break;
    case hypervisor::Capability::MonitorTrap:
      cpu.monitor_trap = on;
      break;
    case hypervisor::Capability::MaskInterrupts:
      debugger_masks = on;
      update_mask();
      break;
  }
  return {};
}

bool SoftVcpu::step_within(Gva start, Gva end) {
  step_range = {start, end};
  return true;
}

Result<void> SoftVcpu::inject_exception(const x86::Exception& exception) {
  if (cpu.injected) return fail(ErrorCode::Busy, "an exception is already waiting for delivery");
  cpu.injected = exception;
  tell(change::InjectedException{cpu.id(), exception});
  return {};
}

Result<void> SoftVcpu::set_entry_insn_length(std::uint8_t length) {
  if (length < 1 || length > 15) {
    return fail(ErrorCode::BadRequest, "an instruction is 1 to 15 bytes long");
  }
  cpu.entry_insn_length = length;
  tell(change::InsnLength{cpu.id(), length});
  return {};
}

std::optional<hypervisor::PendingEvents> SoftVcpu::pending_events() {
  using Shadow = hypervisor::PendingEvents::Shadow;
  hypervisor::PendingEvents events;
  events.exception = cpu.injected;
  events.debug_traps = cpu.pending_debug;
  if (cpu.icount < cpu.debug_shadow_until) {
    events.shadow = Shadow::StackLoad;
  } else if (cpu.icount < cpu.interrupt_shadow_until) {
    events.shadow = Shadow::Sti;
  }
  events.nmi_pending = cpu.nmi_pending;
  events.nmi_blocked = cpu.nmi_blocked;
  events.interrupt_waiting = cpu.interrupt_pin;
  if (cpu.interrupt_pin) events.vector = cpu.board().platform.peek_interrupt(cpu.id());
  events.interrupts_enabled = cpu.flags.interrupts();
  return events;
}

Result<std::uint8_t> SoftVcpu::entry_insn_length() { return cpu.entry_insn_length; }

}  // namespace ringside::soft
