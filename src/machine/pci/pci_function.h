// One function of a device on the PCI bus: its configuration space, base address registers and
// interrupt pin (PCI Local Bus specification 3.0, chapter 6). Owned by Machine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/pci/configuration.h"

namespace ringside::machine {

struct PciIdentity {
  std::uint16_t vendor = 0, device = 0;
  std::uint32_t class_code = 0;  // class, subclass and programming interface: 24 bits
  std::uint8_t revision = 0;
  std::uint16_t subsystem_vendor = 0, subsystem = 0;
};

// Places of the header that more than one source needs.
namespace pci {
inline constexpr unsigned kCommand = 0x04, kStatus = 0x06, kFirstBar = 0x10, kCapabilities = 0x34,
                          kInterruptLine = 0x3c, kInterruptPin = 0x3d;
inline constexpr std::uint32_t kCommandMemory = 0x002, kCommandMaster = 0x004,
                               kCommandNoInterrupt = 0x400;
}  // namespace pci

class PciFunction : public Device {
 public:
  static constexpr unsigned kBars = 6;
  // A place in what one base address register maps.
  struct Place {
    unsigned bar = 0;
    std::uint64_t offset = 0;
  };

  // A pin INTA# is wired to `line`; without one the function has no pin.
  PciFunction(const PciIdentity& identity, std::optional<InterruptLine> line);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;

  // Of 1 to 4 bytes within the 256. A read may have an effect where a peek has none.
  virtual std::uint32_t read_configuration(unsigned offset, unsigned width) {
    return peek_configuration(offset, width);
  }
  virtual std::uint32_t peek_configuration(unsigned offset, unsigned width) const;
  virtual void write_configuration(unsigned offset, unsigned width, std::uint32_t value);

  // Of memory that a register maps. Not called of a function that has no such register.
  virtual std::uint64_t read_bar(unsigned /*bar*/, const MmioAccess& /*access*/) { return 0; }
  virtual std::uint64_t peek_bar(unsigned /*bar*/, const MmioAccess& /*access*/) const { return 0; }
  virtual void write_bar(unsigned /*bar*/, const MmioAccess& /*access*/, std::uint64_t /*value*/) {}

  // Zero where there is no such register.
  std::uint32_t bar_size(unsigned bar) const { return bars_[bar]; }
  Gpa bar_base(unsigned bar) const;
  // Whether it answers there now.
  bool is_mapped(unsigned bar) const { return bars_[bar] != 0 && command(pci::kCommandMemory); }
  // What answers at `address`, if the guest lets it.
  std::optional<Place> find(Gpa address) const;

  // What firmware does before a system starts.
  void place_bar(unsigned bar, Gpa base);
  void set_interrupt_line(std::uint8_t line) { configuration_.set(pci::kInterruptLine, 1, line); }

 protected:
  bool command(std::uint32_t bit) const {
    return (configuration_.read(pci::kCommand, 2) & bit) != 0;
  }
  bool is_master() const { return command(pci::kCommandMaster); }
  // 32-bit memory of `size` bytes, a power of two from 16 up.
  void add_bar(unsigned bar, std::uint32_t size);
  // Puts a capability at the end of the list; gives its place. `size` is in bytes.
  unsigned add_capability(std::uint8_t id, unsigned size);
  PciConfiguration& configuration() { return configuration_; }
  const PciConfiguration& configuration() const { return configuration_; }
  // The level that the device wants its pin to have.
  void set_interrupt(bool asserted);

 private:
  void update_line() const;

  PciConfiguration configuration_;
  std::array<std::uint32_t, kBars> bars_{};  // sizes
  std::optional<InterruptLine> line_;
  unsigned last_link_ = pci::kCapabilities, next_capability_ = 0x40;
  bool interrupt_ = false;
};

}  // namespace ringside::machine
