// What the chipset does to the processor: the A20 gate, and the resets at ports 0x92 and 0xcf9. A
// reset ends the machine (the program decides whether to start again). Owned by Machine.
#pragma once

#include <cstdint>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"

namespace ringside::machine {

class SystemControl final : public Device, public BytePorts {
 public:
  static constexpr std::uint16_t kPortA = 0x92, kResetControl = 0xcf9;

  explicit SystemControl(hypervisor::CpuPort& cpus) : cpus_(cpus) {}

  bool a20() const { return a20_ != 0; }
  void set_a20(bool enabled);
  void reset_machine();

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  // No read has an effect.
  std::uint8_t read_port(std::uint16_t port) override { return peek_port(port); }
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  hypervisor::CpuPort& cpus_;
  // Open at power-on: kernels start above 1 MiB, and firmware opens it first thing.
  std::uint8_t a20_ = 1;
  std::uint8_t port_a_ = 0;
  std::uint8_t reset_control_ = 0;
};

}  // namespace ringside::machine
