#include "machine/devices/debug_ports.h"

namespace ringside::machine {

std::uint32_t DebugExit::peek_port(const PortAccess& access) const {
  return static_cast<std::uint32_t>(all_ones(access.width));
}

Access DebugExit::write_port(const PortAccess&, std::uint32_t value) {
  hypervisor::VmEnd end;
  end.kind = hypervisor::VmEnd::Kind::DebugExit;
  end.debug_exit_status = static_cast<int>((value << 1) | 1);
  cpus_.end(std::move(end));
  return Access::Done;
}

std::uint32_t PanicPort::peek_port(const PortAccess&) const { return kPanicked; }

Access PanicPort::write_port(const PortAccess& access, std::uint32_t value) {
  if ((value & kPanicked) != 0)
    cpus_.guest_panicked(access.vcpu, "the guest wrote to its panic port");
  return Access::Done;
}

void DebugConsole::write_port(std::uint16_t, std::uint8_t value) {
  const auto byte = static_cast<std::byte>(value);
  if (sink_) sink_({&byte, 1});
}

}  // namespace ringside::machine
