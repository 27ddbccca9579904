#include "engine/soft/soft_vcpu.h"

#include <fmt/format.h>

#include "engine/soft/msr.h"
#include "engine/soft/system.h"

namespace ringside::soft {

Result<x86::CpuState> SoftVcpu::state() { return cpu.state(); }

Result<void> SoftVcpu::set_state(const x86::CpuState& state) {
  cpu.set_state(state);
  return {};
}

Result<x86::RegisterValue> SoftVcpu::read_register(x86::Register r) {
  return x86::get_register(cpu.state(), r);
}

Result<void> SoftVcpu::write_register(x86::Register r, const x86::RegisterValue& value) {
  x86::CpuState state = cpu.state();
  x86::set_register(state, r, value);
  cpu.set_state(state);
  return {};
}

Result<std::uint64_t> SoftVcpu::read_msr(std::uint32_t number) {
  const auto value = soft::read_msr(cpu, number);
  if (!value) return fail(ErrorCode::NotFound, fmt::format("there is no MSR {:#x}", number));
  return *value;
}

Result<void> SoftVcpu::write_msr(std::uint32_t number, std::uint64_t value) {
  if (soft::write_msr(cpu, number, value)) return {};
  return fail(ErrorCode::BadRequest, fmt::format("MSR {:#x} does not take {:#x}", number, value));
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
      cpu.mask_interrupts = on;
      break;
  }
  return {};
}

Result<void> SoftVcpu::inject_exception(const x86::Exception& exception) {
  if (cpu.injected) return fail(ErrorCode::Busy, "an exception is already waiting for delivery");
  cpu.injected = exception;
  return {};
}

Result<void> SoftVcpu::set_entry_insn_length(std::uint8_t length) {
  if (length < 1 || length > 15) {
    return fail(ErrorCode::BadRequest, "an instruction is 1 to 15 bytes long");
  }
  cpu.entry_insn_length = length;
  return {};
}

Result<std::uint8_t> SoftVcpu::entry_insn_length() { return cpu.entry_insn_length; }

}  // namespace ringside::soft
