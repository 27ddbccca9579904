// ACPI fixed hardware (ACPI specification 5.0, 4.8): PM1 event and control blocks, and the PM
// timer. Sleeping in S5 ends the machine as power-off; in S3 (16.1.3) it waits for the power button
// or the clock's alarm. Always in ACPI mode. Owned by Machine.
#pragma once

#include <cstdint>
#include <functional>
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

  // What becomes of the rest of the machine.
  struct Sleep {
    std::function<void()> begin;  // during the guest's access
    std::function<void()> end;    // between two instructions
  };
  AcpiPower(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine sci, Sleep sleep);

  // The fixed power button (4.8.2.2.1.1): its status rises, and interrupts where the guest has
  // enabled it. False: it has not. It wakes the machine in any case, as those of PCs do.
  bool press_button();
  // The clock's alarm has gone off (4.8.2.3, RTC_STS), which wakes the machine where the guest has
  // enabled that.
  void ring_alarm();
  bool asleep() const { return state_.asleep != 0; }
  // The alarm may wake it, if it is set.
  bool alarm_wakes() const;

  void reset() override;
  void visit_state(StateVisitor& visitor) override {
    visitor.field(state_);
    visitor.expect(state_.asleep <= 1);
  }
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  struct State {
    std::uint64_t collected = 0;  // timer ticks up to which the status is known
    std::uint16_t status = 0;
    std::uint16_t enable = 0;
    std::uint16_t control = 0;
    std::uint16_t asleep = 0;  // 1: in S3
  };
  static_assert(std::has_unique_object_representations_v<State>);

  enum Event : unsigned { kOverflow, kWake };
  void run_event(unsigned code, VirtualTime due) override;
  std::uint64_t ticks() const;
  std::uint16_t status_now() const;
  void collect_status();
  void raise(std::uint16_t status);
  void write_control(std::uint16_t value);
  void fall_asleep();
  void wake();
  void update();

  hypervisor::CpuPort& cpus_;
  InterruptLine sci_;
  Sleep sleep_;
  Timer timer_, wake_timer_;
  State state_;
};

}  // namespace ringside::machine
