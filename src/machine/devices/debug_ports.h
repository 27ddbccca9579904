// Ports that exist only in virtual machines: the debug exit (0xf4), the panic port (0x505) and the
// firmware's debug console (0x402 as SeaBIOS has it, 0xe9 as Bochs has it). They keep no state.
#pragma once

#include "machine/bus/bus.h"
#include "machine/bus/byte_sink.h"

namespace ringside::machine {

// A write of V ends the process with status (V << 1) | 1.
class DebugExit final : public WidePorts {
 public:
  static constexpr std::uint16_t kPort = 0xf4, kPorts = 4;
  explicit DebugExit(hypervisor::CpuPort& cpus) : cpus_(cpus) {}
  Access read_port(const PortAccess& access, std::uint32_t& value) override {
    value = peek_port(access);
    return Access::Done;
  }
  std::uint32_t peek_port(const PortAccess& access) const override;
  Access write_port(const PortAccess& access, std::uint32_t value) override;

 private:
  hypervisor::CpuPort& cpus_;
};

// Where a guest says that it has panicked: bit 0 written to port 0x505, QEMU's pvpanic on the ISA
// bus (QEMU's docs/specs/pvpanic.rst). Reading it tells which events there are.
class PanicPort final : public WidePorts {
 public:
  static constexpr std::uint16_t kPort = 0x505, kPorts = 1;
  explicit PanicPort(hypervisor::CpuPort& cpus) : cpus_(cpus) {}
  Access read_port(const PortAccess& access, std::uint32_t& value) override {
    value = peek_port(access);
    return Access::Done;
  }
  std::uint32_t peek_port(const PortAccess& access) const override;
  Access write_port(const PortAccess& access, std::uint32_t value) override;

 private:
  static constexpr std::uint32_t kPanicked = 1;
  hypervisor::CpuPort& cpus_;
};

class DebugConsole final : public BytePorts {
 public:
  static constexpr std::uint16_t kPort = 0x402, kBochsPort = 0xe9;
  explicit DebugConsole(ByteSink sink) : sink_(std::move(sink)) {}
  // 0xe9 on either port tells firmware that the console is there.
  std::uint8_t read_port(std::uint16_t) override { return 0xe9; }
  std::uint8_t peek_port(std::uint16_t) const override { return 0xe9; }
  void write_port(std::uint16_t port, std::uint8_t value) override;
  bool takes_write(std::uint16_t) const override { return !sink_.full(); }

 private:
  ByteSink sink_;
};

}  // namespace ringside::machine
