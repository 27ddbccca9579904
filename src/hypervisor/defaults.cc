// What an engine gets that does not implement a function of Vm, Vcpu or Memory.
#include "ringside/vm.h"

namespace ringside::hypervisor {

Result<x86::RegisterValue> Vcpu::read_register(x86::Register r) {
  return state().map([r](const x86::CpuState& now) { return x86::get_register(now, r); });
}

Result<void> Vcpu::write_register(x86::Register r, const x86::RegisterValue& value) {
  Result<x86::CpuState> now = state();
  if (!now) return fail(now.error());
  x86::set_register(*now, r, value);
  return set_state(*now);
}

Result<std::uint64_t> Vcpu::read_msr(std::uint32_t) {
  return fail(ErrorCode::NotSupported, "this engine shows no MSRs");
}

Result<void> Vcpu::write_msr(std::uint32_t, std::uint64_t) {
  return fail(ErrorCode::NotSupported, "this engine shows no MSRs");
}

Result<void> Vcpu::set_capability(Capability, bool) {
  return fail(ErrorCode::NotSupported, "this engine cannot");
}

Result<void> Vcpu::inject_exception(const x86::Exception&) {
  return fail(ErrorCode::NotSupported, "this engine injects no exceptions");
}

Result<void> Vcpu::set_entry_insn_length(std::uint8_t length) {
  if (length == 1) return {};
  return fail(ErrorCode::NotSupported, "this engine knows int3 without prefixes only");
}

MemoryKind Memory::kind(Gpa address) {
  std::byte probe;
  return read_ram(address, {&probe, 1}) ? MemoryKind::Ram : MemoryKind::Nothing;
}

const std::optional<VmEnd>& Vm::ended() const {
  static const std::optional<VmEnd> goes_on;
  return goes_on;
}

}  // namespace ringside::hypervisor
