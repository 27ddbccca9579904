#include "debug/target/traced_vcpu.h"

#include <cstring>

#include "x86/register_table.h"

namespace ringside::debug {

std::size_t TracedVcpu::registers_size() {
  static const std::size_t size = [] {
    std::size_t sum = 0;
    for (const x86::RegisterInfo& r : x86::kRegisters)
      sum += r.size();
    return sum;
  }();
  return size;
}

Result<void> TracedVcpu::read_registers(std::span<std::byte> out) {
  x86::CpuState state = TRY(vm_.vcpu(vcpu_).state());
  state.rip = shown_pc(state, view_);
  std::byte* to = out.data();
  for (const x86::RegisterInfo& r : x86::kRegisters) {
    const x86::RegisterValue value = x86::get_register(state, r.id);
    std::memcpy(to, value.bytes.data(), r.size());
    to += r.size();
  }
  return {};
}

}  // namespace ringside::debug
