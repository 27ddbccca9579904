// The pair of 8259A interrupt controllers of a PC (Intel 8259A data sheet), with the edge/level
// registers that chipsets added (ELCR, 0x4d0 and 0x4d1). Owned by Machine; its output is LINT0 of
// the local APICs.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/interrupts/apic_bus.h"
#include "platform/controllers.h"

namespace ringside::machine {

// One chip, without knowledge of the other.
class Pic8259 {
 public:
  void reset();
  void visit_state(StateVisitor& visitor) { visitor.field(state_); }

  void set_line(unsigned line, bool asserted);
  bool output() const { return pending() >= 0; }
  hypervisor::PicImage image() const;
  // The request with the highest priority, taken into service; -1 when there is none.
  int acknowledge();
  // The same request, where it stays.
  int pending() const;
  std::uint8_t vector(unsigned line) const {
    return static_cast<std::uint8_t>(state_.vector_base + line);
  }

  std::uint8_t read(unsigned a0);
  std::uint8_t peek(unsigned a0) const;
  void write(unsigned a0, std::uint8_t value);
  std::uint8_t level_triggered() const { return state_.level_triggered; }
  void set_level_triggered(std::uint8_t lines) { state_.level_triggered = lines; }
  void set_vector_base(std::uint8_t vector) { state_.vector_base = vector; }

 private:
  struct State {
    std::uint8_t lines = 0;    // inputs
    std::uint8_t request = 0;  // IRR
    std::uint8_t service = 0;  // ISR
    std::uint8_t mask = 0xff;  // IMR
    std::uint8_t level_triggered = 0;
    std::uint8_t vector_base = 0;
    std::uint8_t first = 0;      // the line with the highest priority
    std::uint8_t init_step = 0;  // the ICW expected next, or 0
    std::uint8_t needs_icw4 = 0;
    std::uint8_t single = 0;
    std::uint8_t automatic_eoi = 0;
    std::uint8_t rotate_on_automatic_eoi = 0;
    std::uint8_t special_mask = 0;
    std::uint8_t fully_nested_special = 0;
    std::uint8_t poll = 0;
    std::uint8_t read_service = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  int highest(std::uint8_t lines) const;
  void start_initialisation(std::uint8_t icw1);
  void write_initialisation(std::uint8_t value);
  void write_command(std::uint8_t value);
  void end_of_interrupt(unsigned line, bool rotate);

  State state_;
};

class PicPair final : public Device, public BytePorts, public ExternalInterrupts {
 public:
  static constexpr std::uint16_t kMaster = 0x20, kSlave = 0xa0, kEdgeLevel = 0x4d0;

  explicit PicPair(InterruptLine output) : output_(output) {}

  void set_line(unsigned line, bool asserted);  // 0..15 but 2
  // The vectors that a PC's BIOS sets, with all lines masked as they are after a reset.
  void set_bios_vectors();
  std::uint8_t acknowledge() override;
  std::uint8_t peek_vector() const override;
  hypervisor::PicPairImage image() const { return {master_.image(), slave_.image()}; }

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  void set_master_levels(std::uint8_t lines);
  void update();

  InterruptLine output_;
  Pic8259 master_, slave_;
};

}  // namespace ringside::machine
