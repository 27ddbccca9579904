// ACPI fixed hardware (ACPI specification 5.0, 4.8): PM1 event and control blocks, and the PM
// timer. Sleeping in S5 ends the machine as power-off. Always in ACPI mode. Owned by Machine.
#pragma once

#include <cstdint>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/clocks/event_queue.h"

namespace ringside::machine {

class AcpiPower final : public Device, public BytePorts, private EventSink {
 public:
  static constexpr unsigned kPorts = 12;
  static constexpr std::uint64_t kTimerHz = 3579545;

  AcpiPower(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine sci);

  // The fixed power button (4.8.2.2.1.1): its status rises, and interrupts where the guest has
  // enabled it. False: it has not.
  bool press_button();

  void reset() override;
  void visit_state(StateVisitor& visitor) override { visitor.field(state_); }
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  struct State {
    std::uint64_t collected = 0;  // timer ticks up to which the status is known
    std::uint16_t status = 0;
    std::uint16_t enable = 0;
    std::uint16_t control = 0;
    std::uint16_t padding = 0;
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void run_event(unsigned code, VirtualTime due) override;
  std::uint64_t ticks() const;
  std::uint16_t status_now() const;
  void collect_status();
  void write_control(std::uint16_t value);
  void update();

  hypervisor::CpuPort& cpus_;
  InterruptLine sci_;
  Timer timer_;
  State state_;
};

}  // namespace ringside::machine
