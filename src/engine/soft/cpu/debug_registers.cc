#include "engine/soft/cpu/debug_registers.h"

#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

bool is_enabled(const Cpu& cpu, unsigned n) { return (cpu.dr7 >> (2 * n) & 3) != 0; }

BreakOn condition(const Cpu& cpu, unsigned n) {
  return static_cast<BreakOn>(cpu.dr7 >> (16 + 4 * n) & 3);
}

// LEN: 1, 2, 8 or 4 bytes; the low bits of the address do not count (SDM 3B 17.2.5).
std::uint64_t length(const Cpu& cpu, unsigned n) {
  constexpr std::uint64_t kLengths[] = {1, 2, 8, 4};
  return kLengths[cpu.dr7 >> (18 + 4 * n) & 3];
}

bool overlaps(const Cpu& cpu, unsigned n, std::uint64_t address, std::uint64_t size) {
  const std::uint64_t first = cpu.dr[n] & ~(length(cpu, n) - 1);
  return address - first < length(cpu, n) || first - address < size;
}

bool wants(BreakOn on, AccessKind kind) {
  switch (kind) {
    case AccessKind::Fetch:
      return on == BreakOn::Execution;
    case AccessKind::Write:
      return on == BreakOn::Write || on == BreakOn::ReadOrWrite;
    default:
      return on == BreakOn::ReadOrWrite;
  }
}

template <typename Predicate>
std::uint64_t enabled_where(const Cpu& cpu, Predicate predicate) {
  std::uint64_t met = 0;
  for (unsigned n = 0; n < 4; ++n) {
    if (is_enabled(cpu, n) && predicate(n)) met |= std::uint64_t{1} << n;
  }
  return met;
}

}  // namespace

std::uint64_t breakpoints_met(const Cpu& cpu, std::uint64_t address, unsigned size,
                              AccessKind kind) {
  if (!any_debug_register_enabled(cpu.dr7)) return 0;
  return enabled_where(cpu, [&](unsigned n) {
    if (!wants(condition(cpu, n), kind)) return false;
    return kind == AccessKind::Fetch ? cpu.dr[n] == address : overlaps(cpu, n, address, size);
  });
}

std::uint64_t port_breakpoints_met(const Cpu& cpu, std::uint16_t port, unsigned width) {
  if (!any_debug_register_enabled(cpu.dr7) || (cpu.cr4 & x86::cr4::DE) == 0) return 0;
  return enabled_where(cpu, [&](unsigned n) {
    return condition(cpu, n) == BreakOn::Port && overlaps(cpu, n, port, width);
  });
}

bool breaks_on_execution(const Cpu& cpu) {
  if (!any_debug_register_enabled(cpu.dr7)) return false;
  return enabled_where(cpu, [&](unsigned n) { return condition(cpu, n) == BreakOn::Execution; }) !=
         0;
}

bool breaks_on_data_in(const Cpu& cpu, std::uint64_t linear_page) {
  if (!any_debug_register_enabled(cpu.dr7)) return false;
  return enabled_where(cpu, [&](unsigned n) {
           const BreakOn on = condition(cpu, n);
           return (on == BreakOn::Write || on == BreakOn::ReadOrWrite) &&
                  (cpu.dr[n] & kPageMask) == linear_page;
         }) != 0;
}

bool breaks_on_instruction(const Cpu& cpu, std::uint64_t linear) {
  return any_debug_register_enabled(cpu.dr7) && !cpu.flags.rf() &&
         cpu.icount >= cpu.debug_shadow_until &&
         breakpoints_met(cpu, linear, 1, AccessKind::Fetch) != 0;
}

void check_instruction_breakpoint(Cpu& cpu, std::uint64_t linear) {
  if (!any_debug_register_enabled(cpu.dr7)) return;
  if (cpu.flags.rf()) {
    cpu.rf_spent_at = cpu.icount;
    cpu.flags.set_system(x86::rflags::RF, false);  // good for this instruction (SDM 3B 17.3.1.1)
    return;
  }
  if (cpu.icount < cpu.debug_shadow_until) return;  // as if RF were set (SDM 3A 6.8.3)
  const std::uint64_t met = breakpoints_met(cpu, linear, 1, AccessKind::Fetch);
  if (met == 0) return;
  record_debug_causes(cpu, met);
  raise(x86::Vector::Debug);
}

void debug_registers_changed(Cpu& cpu, std::uint64_t old_dr7) {
  if (!any_debug_register_enabled(old_dr7 | cpu.dr7)) return;
  cpu.flush_tlb();  // pages gain or lose their fast path
  cpu.leave_soon();
}

}  // namespace ringside::soft
