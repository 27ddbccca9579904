// The 8254 interval timer (Intel 8254 data sheet) and port 0x61, which gates and shows its
// channel 2. Everything is computed from virtual time; only channel 0, whose output is IRQ 0, needs
// events.
//
// A count written to a running channel in mode 2 or 3 takes effect at once, not at the end of the
// period.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/clocks/event_queue.h"

namespace ringside::machine {

inline constexpr std::uint64_t kPitHz = 1193182;

// One counter. Times are in ticks of its clock since power-on.
class PitChannel {
 public:
  void reset() { state_ = State{}; }
  void visit_state(StateVisitor& visitor);

  void control(std::uint8_t word, std::uint64_t tick);
  void write(std::uint8_t value, std::uint64_t tick);
  std::uint8_t read(std::uint64_t tick);
  std::uint8_t peek(std::uint64_t tick) const;
  void latch_count(std::uint64_t tick);
  void latch_status(std::uint64_t tick);
  void set_gate(bool gate, std::uint64_t tick);

  bool gate() const { return state_.gate != 0; }
  unsigned mode() const { return state_.mode; }
  bool output(std::uint64_t tick) const;
  // The first tick after `tick` at which the output rises.
  std::optional<std::uint64_t> next_rise(std::uint64_t tick) const;

 private:
  struct State {
    std::uint64_t start = 0;    // tick at which the counter held its full count
    std::uint64_t elapsed = 0;  // while stopped: what had been counted
    std::uint32_t count = 65536;
    std::uint16_t latched = 0;
    std::uint8_t mode = 3;
    std::uint8_t access = 3;  // 1 low byte, 2 high byte, 3 both
    std::uint8_t bcd = 0;
    std::uint8_t gate = 1;
    std::uint8_t loaded = 0;  // a count has been written since the control word
    std::uint8_t running = 0;
    std::uint8_t write_low = 0;
    std::uint8_t write_high_next = 0;
    std::uint8_t read_high_next = 0;
    std::uint8_t count_latched = 0;
    std::uint8_t status_latched = 0;
    std::uint8_t status = 0;
    std::uint8_t padding[6] = {};
  };
  static_assert(std::has_unique_object_representations_v<State>);

  // Modes 1 and 5 start with the gate's rising edge, the others with the count.
  bool triggered_by_gate() const { return state_.mode == 1 || state_.mode == 5; }
  std::uint64_t elapsed(std::uint64_t tick) const;
  std::uint16_t current(std::uint64_t tick) const;
  void load(std::uint16_t written, std::uint64_t tick);
  void start(std::uint64_t tick);

  State state_;
};

class Pit final : public Device, public BytePorts, private EventSink {
 public:
  static constexpr std::uint16_t kPort = 0x40, kControl = 0x43, kSpeakerPort = 0x61;

  Pit(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine interrupt);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  void run_event(unsigned code, VirtualTime due) override;
  std::uint64_t tick() const;
  void write_control(std::uint8_t word);
  std::uint8_t read_speaker_port() const;
  void schedule();

  hypervisor::CpuPort& cpus_;
  InterruptLine interrupt_;
  Timer timer_;
  std::array<PitChannel, 3> channels_;
  std::uint8_t speaker_ = 0;
};

}  // namespace ringside::machine
