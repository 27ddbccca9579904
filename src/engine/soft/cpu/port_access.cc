#include "engine/soft/cpu/port_access.h"

#include "engine/soft/cpu/board.h"
#include "engine/soft/cpu/catches.h"
#include "engine/soft/cpu/cpu.h"
#include "engine/soft/cpu/debug_registers.h"
#include "engine/soft/state/fault.h"

namespace ringside::soft {
namespace {

constexpr std::uint64_t kIoMapBase = 0x66;  // in a 32-bit or 64-bit TSS (SDM 3A 7.2.1, 7.7)

bool allowed_by_map(Cpu& cpu, std::uint16_t port, unsigned width) {
  const x86::Segment& tr = cpu.tr;
  const bool has_map =
      tr.type() == x86::system_type::kTss || tr.type() == x86::system_type::kTssBusy;
  if (!has_map || tr.unusable() || tr.limit < kIoMapBase + 1) return false;
  const auto base = cpu.load_system<std::uint16_t>(tr.base + kIoMapBase);
  // Two bytes are read always, because the bits may cross into the second (SDM 1 19.5.2).
  const std::uint64_t offset = std::uint64_t{base} + port / 8;
  if (offset + 1 > tr.limit) return false;
  const auto bits = cpu.load_system<std::uint16_t>(tr.base + offset);
  return (bits >> (port % 8) & ((1u << width) - 1)) == 0;
}

hypervisor::exit::Caught caught_port(std::uint16_t port, unsigned width, bool is_write,
                                     std::uint32_t value) {
  hypervisor::exit::Caught access;
  access.kind = hypervisor::CatchKind::Port;
  access.number = port;
  access.is_write = is_write;
  access.width = static_cast<std::uint8_t>(width);
  access.value = value & (~std::uint32_t{0} >> (32 - 8 * width));
  return access;
}

}  // namespace

void check_port_access(Cpu& cpu, std::uint16_t port, unsigned width) {
  if (!cpu.protected_mode()) return;
  // In virtual-8086 mode the map alone decides (SDM 1 19.5.1).
  if (!cpu.virtual_8086() && cpu.cpl() <= cpu.flags.iopl()) return;
  if (!allowed_by_map(cpu, port, width)) raise(x86::Vector::GeneralProtection, 0);
}

void check_output(Cpu& cpu, std::uint16_t port, unsigned width) {
  if (!cpu.board().platform.takes_write(cpu.id(), port, width)) throw InsnHeld{};
}

std::uint32_t port_in(Cpu& cpu, std::uint16_t port, unsigned width) {
  std::uint32_t value = ~std::uint32_t{0};
  if (cpu.board().platform.port_read(cpu.id(), port, width, value) == hypervisor::Access::Wait) {
    throw InsnWaits{};
  }
  note_breakpoints(cpu, port_breakpoints_met(cpu, port, width));
  note_caught(cpu, caught_port(port, width, false, value));
  return value;
}

void port_out(Cpu& cpu, std::uint16_t port, unsigned width, std::uint32_t value) {
  if (cpu.board().platform.port_write(cpu.id(), port, width, value) == hypervisor::Access::Wait) {
    throw InsnWaits{};
  }
  note_breakpoints(cpu, port_breakpoints_met(cpu, port, width));
  note_caught(cpu, caught_port(port, width, true, value));
}

}  // namespace ringside::soft
