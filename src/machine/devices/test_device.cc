#include "machine/devices/test_device.h"

#include <cstring>

namespace ringside::machine {
namespace {

constexpr std::uint16_t kPagePort = 0xe4, kPagePorts = 4;

bool is_line(std::uint16_t port) { return port >= TestDevice::kLinePort; }
// To map a page anew changes nothing that the guest can see.
bool is_page(std::uint16_t port) { return port >= kPagePort && port < kPagePort + kPagePorts; }

}  // namespace

void TestDevice::reset() {
  for (unsigned line = 0; line < kLines; ++line)
    set_line(line, false);
  register_ = {};
  window_ = {};
}

void TestDevice::visit_state(StateVisitor& visitor) {
  visitor.fields(register_, asserted_, window_);
  visitor.expect(asserted_ >> kLines == 0);
}

void TestDevice::set_line(unsigned line, bool asserted) {
  const std::uint32_t bit = std::uint32_t{1} << line;
  if (((asserted_ & bit) != 0) == asserted) return;
  asserted_ ^= bit;
  lines_.set_line(line, asserted);
}

std::uint8_t TestDevice::peek_port(std::uint16_t port) const {
  return is_line(port) || is_page(port) ? 0xff : register_[port % register_.size()];
}

void TestDevice::write_port(std::uint16_t port, std::uint8_t value) {
  if (is_line(port)) {
    set_line(port - kLinePort, value != 0);
  } else if (!is_page(port)) {
    register_[port % register_.size()] = value;
  }
}

std::uint64_t TestDevice::peek_mmio(const MmioAccess& access) const {
  std::uint64_t value = 0;
  std::memcpy(&value, &window_[access.offset], access.width);
  return value;
}

void TestDevice::write_mmio(const MmioAccess& access, std::uint64_t value) {
  std::memcpy(&window_[access.offset], &value, access.width);
}

}  // namespace ringside::machine
