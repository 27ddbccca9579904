// The I/O APIC (Intel 82093AA data sheet, with the EOI register of version 0x20). Owned by Machine.
// Pins are set by logical level, so the polarity bit is kept but changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/interrupts/apic_bus.h"
#include "platform/controllers.h"

namespace ringside::machine {

class IoApic final : public Device, public MmioDevice, public EoiListener {
 public:
  static constexpr Gpa kBase{x86::io_apic::kBase};
  static constexpr std::uint64_t kSize = x86::io_apic::kSize;
  static constexpr unsigned kPins = x86::io_apic::kPins;
  static constexpr std::uint8_t kId = 0;

  explicit IoApic(ApicBus& apics) : apics_(apics) { reset(); }

  void set_pin(unsigned pin, bool asserted);
  void end_of_interrupt(std::uint8_t vector) override;

  hypervisor::IoApicImage image() const;

  void reset() override;
  void visit_state(StateVisitor& visitor) override { visitor.field(state_); }
  // No read has an effect.
  std::uint64_t read_mmio(const MmioAccess& access) override { return peek_mmio(access); }
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  struct State {
    std::array<std::uint64_t, kPins> entry{};
    std::uint32_t pins = 0;  // inputs
    std::uint32_t select = 0;
    std::uint32_t id = 0;
    std::uint32_t padding = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  std::uint32_t read_register(std::uint32_t number) const;
  void write_register(std::uint32_t number, std::uint32_t value);
  void deliver(unsigned pin);
  // A level-triggered pin that is asserted, unmasked and not yet being served interrupts.
  void service_level(unsigned pin);

  ApicBus& apics_;
  State state_;
};

}  // namespace ringside::machine
