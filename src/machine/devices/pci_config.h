// PCI configuration mechanism 1 with nothing on the bus but a host bridge: enough for systems to
// see that there is a PCI bus and that it is empty. Owned by Machine.
#pragma once

#include <cstdint>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"

namespace ringside::machine {

class PciConfig final : public Device, public WidePorts {
 public:
  static constexpr std::uint16_t kAddress = 0xcf8, kData = 0xcfc;

  void reset() override { address_ = 0; }
  void visit_state(StateVisitor& visitor) override { visitor.field(address_); }
  // No read has an effect.
  Access read_port(const PortAccess& access, std::uint32_t& value) override {
    value = peek_port(access);
    return Access::Done;
  }
  std::uint32_t peek_port(const PortAccess& access) const override;
  Access write_port(const PortAccess& access, std::uint32_t value) override;

 private:
  std::uint32_t address_ = 0;
};

}  // namespace ringside::machine
