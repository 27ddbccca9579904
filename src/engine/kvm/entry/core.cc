#include "engine/kvm/entry/core.h"

#include <algorithm>
#include <span>
#include <utility>
#include <variant>

namespace ringside::kvm {

namespace exit = hypervisor::exit;

CodeSize VcpuCore::code_size() const {
  if (registers.code64()) return CodeSize::Bits64;
  return registers.code32() ? CodeSize::Bits32 : CodeSize::Bits16;
}

GuestView VcpuCore::view() {
  const kvm_sregs& state = registers.system();
  return {system.ram, {state.cr0, state.cr3, state.cr4, state.efer}};
}

Gva VcpuCore::stack(std::uint64_t offset) const {
  const kvm_sregs& state = registers.system();
  const std::uint64_t rsp = registers.general().rsp + offset;
  if (registers.code64()) return {rsp};
  const bool big = state.ss.db != 0 && (state.cr0 & x86::cr0::PE) != 0;
  return {(state.ss.base + (rsp & (big ? 0xffffffff : 0xffff))) & 0xffffffff};
}

std::uint8_t VcpuCore::int3_at_rip() {
  if (!registers.load(RegisterFile::kGeneral | RegisterFile::kSystem)) return 0;
  const auto bytes_stay = keep_bytes();
  std::uint8_t code[15];
  const std::size_t size = view().read(registers.linear_rip(), code);
  return int3_length(std::span(code, size), code_size());
}

bool VcpuCore::is_caught(const exit::Caught& what) const {
  const std::vector<hypervisor::Catch>& all = system.catches;
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.is_for(what); });
}

// The debugger's filter is asked here, on the vCPU's thread, so that a false condition wakes
// nobody.
bool VcpuCore::wants_stop(const Exit& hit) {
  const bool is_hit = std::holds_alternative<exit::Breakpoint>(hit) ||
                      std::holds_alternative<exit::HardwareBreakpoint>(hit) ||
                      std::holds_alternative<exit::Watchpoint>(hit) ||
                      std::holds_alternative<exit::Caught>(hit) ||
                      std::holds_alternative<exit::PhysicalWatchpoint>(hit);
  if (!is_hit) return true;
  const auto bytes_stay = keep_bytes();
  hypervisor::StopFilter* filter = system.filter;  // which is there as long as the bytes stay
  if (filter == nullptr) return true;
  const bool stop = filter->wants_stop(id, hit);
  if (!stop && filter->has_news()) system.events.wake();
  return stop;
}

std::optional<Exit> VcpuCore::die(std::string reason, hypervisor::VmEnd::Kind kind) {
  activity = Activity::Dead;
  if (system.stop_instead_of_death) return exit::Dead{std::move(reason)};
  system.end({kind, 0, std::move(reason), id});
  return std::nullopt;
}

}  // namespace ringside::kvm
