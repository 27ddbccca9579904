#include "debug/target/traced_vcpu.h"

#include "x86/register_table.h"

namespace ringside::debug {

std::size_t TracedVcpu::registers_size() { return x86::kTableSize; }

Result<void> TracedVcpu::read_registers(std::span<std::byte> out) {
  x86::CpuState state = TRY(vm_.vcpu(vcpu_).state());
  state.rip = shown_pc(state, view_);
  x86::write_registers(state, out);
  return {};
}

}  // namespace ringside::debug
