// What test suites of hypervisors and operating systems drive (--test-device), as QEMU's pc-testdev
// has it: a register of four bytes at ports 0xe0 and 0xe8, a port for a page that the hypervisor is
// to map anew (0xe4), interrupt lines as ports (0x2000 to 0x2017), and 64 KiB of memory behind
// device accesses at 0xff000000. Owned by Machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"

namespace ringside::machine {

class TestDevice final : public Device, public BytePorts, public MmioDevice {
 public:
  // The register twice, and between both the port for a page.
  static constexpr std::uint16_t kPort = 0xe0, kPorts = 12;
  static constexpr std::uint16_t kLinePort = 0x2000, kLines = 24;
  static constexpr Gpa kWindow{0xff000000};
  static constexpr std::uint64_t kWindowSize = 0x10000;

  explicit TestDevice(InterruptSink& lines) : lines_(lines) {}

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  // No read has an effect.
  std::uint8_t read_port(std::uint16_t port) override { return peek_port(port); }
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;
  std::uint64_t read_mmio(const MmioAccess& access) override { return peek_mmio(access); }
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  void set_line(unsigned line, bool asserted);

  InterruptSink& lines_;
  std::array<std::uint8_t, 4> register_{};
  std::uint32_t asserted_ = 0;  // lines, one bit each
  std::array<std::uint8_t, kWindowSize> window_{};
};

}  // namespace ringside::machine
