// PCI bus 0 and the two ways to its configuration: ports 0xcf8 and 0xcfc (mechanism 1, PCI Local
// Bus specification 3.0, 3.2.2.3.2) and memory (ECAM, PCI Express Base specification 3.0, 7.2.2);
// and the window in which functions answer at the addresses that the guest gives them. Each device
// has function 0 alone, and there are no bridges to other buses. Owned by Machine.
#pragma once

#include <array>
#include <cstdint>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/pci/pci_function.h"

namespace ringside::machine {

class PciBus {
 public:
  static constexpr unsigned kDevices = 32;

  // `function` lives as long as the bus.
  void add(unsigned device, PciFunction& function, DeviceLabel label);
  // Null: there is nobody.
  PciFunction* function(unsigned device) const { return functions_[device]; }
  const DeviceLabel& label(unsigned device) const { return labels_[device]; }

  // A register in configuration space, with nobody's function where none answers there.
  struct Register {
    PciFunction* function = nullptr;
    unsigned offset = 0;
  };
  Register find(unsigned device, unsigned offset, unsigned width) const;

  // One behind the other from `base` on, with decoding of memory switched on. What firmware does.
  void place_all(Gpa base) const;

 private:
  std::array<PciFunction*, kDevices> functions_{};
  std::array<DeviceLabel, kDevices> labels_;
};

// Ports 0xcf8 to 0xcff.
class PciPorts final : public Device, public WidePorts {
 public:
  static constexpr std::uint16_t kAddress = 0xcf8, kData = 0xcfc;

  explicit PciPorts(const PciBus& bus) : bus_(bus) {}
  void reset() override { address_ = 0; }
  void visit_state(StateVisitor& visitor) override { visitor.field(address_); }
  Access read_port(const PortAccess& access, std::uint32_t& value) override;
  std::uint32_t peek_port(const PortAccess& access) const override;
  Access write_port(const PortAccess& access, std::uint32_t value) override;

 private:
  PciBus::Register selected(const PortAccess& access) const;

  const PciBus& bus_;
  std::uint32_t address_ = 0;
};

// Configuration space in memory: 1 MiB for each bus, of which there is the first.
class PciEcam final : public MmioDevice {
 public:
  explicit PciEcam(const PciBus& bus) : bus_(bus) {}
  std::uint64_t read_mmio(const MmioAccess& access) override;
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  const PciBus& bus_;
};

// Addresses that functions may be given.
class PciWindow final : public MmioDevice {
 public:
  PciWindow(const PciBus& bus, Gpa base) : bus_(bus), base_(base) {}
  bool answers(std::uint64_t offset) const override;
  std::uint64_t read_mmio(const MmioAccess& access) override;
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  struct Found {
    PciFunction* function = nullptr;  // null: nobody answers
    unsigned bar = 0;
    MmioAccess access;
  };
  Found find(const MmioAccess& access) const;

  const PciBus& bus_;
  Gpa base_;
};

}  // namespace ringside::machine
