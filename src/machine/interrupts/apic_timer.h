// The timer of one local APIC (SDM 3A 10.5.4). Its bus clock is 1 GHz, so that a count with divisor
// 1 is a nanosecond. The TSC deadline is compared with a TSC that is virtual time in nanoseconds:
// the engines' TSC runs at 1 GHz from zero at power-on; an offset that a guest writes into its TSC
// is not seen here.
#pragma once

#include <cstdint>

#include "machine/clocks/event_queue.h"
#include "x86/apic_registers.h"

namespace ringside::machine {

class ApicTimer {
 public:
  // `expired` gets the event and must call expire() with it.
  ApicTimer(EventQueue& events, hypervisor::CpuPort& cpus, EventSink& expired);

  void reset();
  void visit_state(StateVisitor& visitor) { visitor.field(state_); }

  // Changing to or from TSC-deadline mode disarms.
  void set_mode(x86::apic::TimerMode mode);
  void set_divide(std::uint32_t configuration);
  std::uint32_t divide() const { return state_.divide; }
  void set_initial_count(std::uint32_t count);
  std::uint32_t initial_count() const { return state_.initial_count; }
  std::uint32_t current_count() const;
  void set_deadline(std::uint64_t tsc);
  std::uint64_t deadline() const { return state_.deadline; }

  // Re-arms a periodic timer.
  void expire(VirtualTime due);

 private:
  struct State {
    std::uint64_t deadline = 0;     // 0: disarmed
    std::uint64_t start = 0;        // ns at which the count was start_count
    std::uint32_t start_count = 0;  // 0: stopped
    std::uint32_t initial_count = 0;
    std::uint32_t divide = 0;
    std::uint32_t mode = 0;  // x86::apic::TimerMode
  };

  x86::apic::TimerMode mode() const { return static_cast<x86::apic::TimerMode>(state_.mode); }
  unsigned shift() const { return x86::apic::divide_shift(state_.divide); }
  void count_from(std::uint64_t start_ns, std::uint32_t count);
  void stop();

  hypervisor::CpuPort& cpus_;
  Timer timer_;
  State state_;
};

}  // namespace ringside::machine
