#include "machine/devices/system_control.h"

namespace ringside::machine {

void SystemControl::reset() {
  port_a_ = 0;
  reset_control_ = 0;
  set_a20(true);
}

void SystemControl::visit_state(StateVisitor& visitor) {
  visitor.fields(a20_, port_a_, reset_control_);
  if (visitor.loading()) cpus_.set_a20(a20());
}

void SystemControl::set_a20(bool enabled) {
  if (enabled == a20()) return;
  a20_ = enabled;
  cpus_.set_a20(enabled);
}

void SystemControl::reset_machine() {
  hypervisor::VmEnd end;
  end.kind = hypervisor::VmEnd::Kind::Reboot;
  cpus_.end(std::move(end));
}

std::uint8_t SystemControl::peek_port(std::uint16_t port) const {
  if (port == kResetControl) return reset_control_;
  return static_cast<std::uint8_t>(port_a_ | (a20() ? 2 : 0));
}

void SystemControl::write_port(std::uint16_t port, std::uint8_t value) {
  if (port == kResetControl) {
    // Bit 2 resets as it rises; bit 1 tells a hard reset from a soft one, here the same.
    const bool rises = (value & 4) != 0 && (reset_control_ & 4) == 0;
    reset_control_ = value & 0xe;
    if (rises) reset_machine();
    return;
  }
  const bool fast_reset = (value & 1) != 0 && (port_a_ & 1) == 0;
  port_a_ = value & static_cast<std::uint8_t>(~2);
  set_a20((value & 2) != 0);
  if (fast_reset) reset_machine();
}

}  // namespace ringside::machine
