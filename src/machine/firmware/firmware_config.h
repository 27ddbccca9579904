// QEMU's firmware configuration interface at 0x510, with DMA at 0x514, as SeaBIOS and OVMF expect
// it: memory map, CPU count, ACPI tables, and a kernel to start. Owned by Machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "machine/acpi/acpi_tables.h"
#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/dma_memory.h"
#include "machine/firmware/firmware_kernel.h"

namespace ringside::machine {

class FirmwareConfig final : public Device, public WidePorts {
 public:
  static constexpr std::uint16_t kPort = 0x510, kPorts = 12;

  // What the ACPI tables are to tell. Firmware first finds PCI's devices and then fetches the
  // tables, which say where it has put configuration space.
  struct AcpiSource {
    std::function<std::optional<AddressRange>()> pci_configuration;
    std::function<AcpiOptions(std::optional<AddressRange> pci_configuration)> options;
  };

  // Whatever else it is to find, by the names that it looks for.
  struct File {
    std::string name, content;
  };
  // `video_bios` is an option ROM for SeaBIOS to start first. Empty: there is no screen.
  FirmwareConfig(hypervisor::GuestRam& ram, hypervisor::CpuPort& cpus, unsigned vcpus,
                 const std::string& video_bios, AcpiSource acpi, std::vector<File> files = {});

  // The one that is found from now on.
  void set_kernel(FirmwareKernel kernel) { kernel_ = KernelItems(std::move(kernel)); }

  void reset() override { state_ = State{}; }
  void visit_state(StateVisitor& visitor) override;
  Access read_port(const PortAccess& access, std::uint32_t& value) override;
  std::uint32_t peek_port(const PortAccess& access) const override;
  Access write_port(const PortAccess& access, std::uint32_t value) override;

 private:
  struct State {
    std::uint64_t dma_address = 0;
    std::uint32_t offset = 0;  // into the selected item
    std::uint32_t key = 0;
    AddressRange pci_configuration;  // of the ACPI tables; no size: there is none
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void add(std::uint16_t key, std::string content);
  void add_file(std::string_view name, std::string content);
  void finish_directory();
  void make_acpi();
  std::string_view item() const;
  void select(std::uint16_t key);
  std::string_view rest() const;  // of the selected item
  void run_dma();
  bool transfer(Gpa address, std::uint32_t length);

  DmaMemory memory_;
  AcpiSource acpi_;
  // None changes but those of ACPI.
  std::vector<std::pair<std::uint16_t, std::string>> items_;
  std::size_t first_acpi_item_ = 0;
  std::vector<std::string> directory_;  // entries of the file directory
  KernelItems kernel_;
  State state_;
};

}  // namespace ringside::machine
