#include "machine/devices/guest_gdb_port.h"

#include <utility>

namespace ringside::machine {

// The client outlives a reset of the guest; who waits for one does not.
void GuestGdbPort::reset() {
  received_.clear();
  waiting_ = 0;
}

void GuestGdbPort::visit_state(StateVisitor& visitor) {
  visitor.container(received_);
  visitor.fields(waiting_, connected_);
  visitor.expect(received_.size() <= kBuffer);
}

void GuestGdbPort::receive(std::span<const std::byte> bytes) {
  for (std::byte byte : bytes)
    received_.push_back(static_cast<std::uint8_t>(byte));
}

void GuestGdbPort::set_connected(bool connected) {
  connected_ = connected;
  if (!connected) return;
  received_.clear();  // what the last client left unread
  const std::uint64_t waiting = std::exchange(waiting_, 0);
  for (std::uint32_t i = 0; i < kMaxVcpus; ++i) {
    if (waiting >> i & 1) cpus_.retry({i});
  }
}

Access GuestGdbPort::wait(VcpuId vcpu) {
  const bool first = waiting_ == 0;
  waiting_ |= std::uint64_t{1} << vcpu.value;
  if (first && wants_client_) wants_client_();
  return Access::Wait;
}

std::uint32_t GuestGdbPort::peek_port(const PortAccess& access) const {
  const auto nothing = static_cast<std::uint32_t>(all_ones(access.width));
  if (access.port != kPort) return nothing;
  if (access.width == 2) return kSignature;
  return access.width != 4 || received_.empty() ? nothing : received_.front();
}

Access GuestGdbPort::read_port(const PortAccess& access, std::uint32_t& value) {
  value = peek_port(access);
  if (access.port != kPort || access.width != 4) return Access::Done;
  // What a client sent before it left is still the guest's.
  if (received_.empty()) return connected_ ? Access::Done : wait(access.vcpu);
  received_.pop_front();
  if (received_.empty() && taken_) taken_();
  return Access::Done;
}

Access GuestGdbPort::write_port(const PortAccess& access, std::uint32_t value) {
  if (access.port != kPort || access.width != 4) return Access::Done;
  if (!connected_) return wait(access.vcpu);
  const auto byte = static_cast<std::byte>(value);
  if (sink_) sink_({&byte, 1});
  return Access::Done;
}

}  // namespace ringside::machine
