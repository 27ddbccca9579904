// The high-precision event timer (IA-PC HPET specification 1.0a): a 64-bit counter and three
// comparators, with interrupts by line. Everything is computed from virtual time; only comparators
// that interrupt need events. Owned by Machine.
//
// Interrupts as messages (FSB) are not offered. The main counter is written while it is halted, as
// 2.3.7 has it; a write to one that runs is ignored.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/bus/platform_map.h"
#include "machine/clocks/event_queue.h"

namespace ringside::machine {

class Hpet final : public Device, public MmioDevice, private EventSink {
 public:
  static constexpr unsigned kTimers = 3;
  static constexpr std::uint64_t kTickNs = 10;
  // The first register's low half, which the ACPI table repeats: 64-bit, legacy replacement,
  // revision 1.
  static constexpr std::uint32_t kCapabilities = 0x5247a001 | (kTimers - 1) << 8;

  // `replaces_legacy` is told whenever timers 0 and 1 take the lines of the 8254 and the clock, or
  // give them back.
  Hpet(EventQueue& events, hypervisor::CpuPort& cpus, InterruptSink& lines,
       std::function<void(bool)> replaces_legacy);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  std::uint64_t read_mmio(const MmioAccess& access) override;
  std::uint64_t peek_mmio(const MmioAccess& access) const override;
  void write_mmio(const MmioAccess& access, std::uint64_t value) override;

 private:
  struct Comparator {
    std::uint64_t control = 0;
    std::uint64_t match = 0;   // of the counter as of State::collected
    std::uint64_t period = 0;  // 0: none
  };
  struct State {
    std::uint64_t configuration = 0;
    std::uint64_t status = 0;  // of level-triggered timers, one bit each
    // The counter's value where it is halted; else how far it is ahead of virtual time's ticks.
    std::uint64_t counter = 0;
    std::uint64_t collected = 0;  // the counter's value up to which all is known
    std::uint64_t asserted = 0;   // lines, by number
    std::array<Comparator, kTimers> timers{};
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void run_event(unsigned code, VirtualTime due) override;
  bool runs() const { return (state_.configuration & 1) != 0; }
  bool is_legacy() const { return (state_.configuration & 2) != 0; }
  std::uint64_t ticks() const;
  std::uint64_t counter() const { return state_.counter + (runs() ? ticks() : 0); }
  // What has come by now of what was known: matches since then, one bit for each timer.
  std::uint64_t advance(State& state) const;
  void collect();
  void update();
  void assert_lines(std::uint64_t wanted);
  // Nothing: its route has never been set.
  std::optional<unsigned> line_of(unsigned timer) const;
  std::uint64_t get(std::uint64_t offset, const State& state) const;
  void put(std::uint64_t offset, std::uint64_t value, std::uint64_t mask);
  void put_configuration(std::uint64_t value);
  void put_control(unsigned timer, std::uint64_t value);
  void put_comparator(Comparator& timer, std::uint64_t value, std::uint64_t mask);

  hypervisor::CpuPort& cpus_;
  InterruptSink& lines_;
  std::function<void(bool)> replaces_legacy_;
  std::array<Timer, kTimers> alarms_;
  State state_;
};

// The line of the 8254 or the clock, which the HPET may have taken over.
class LegacyLine final : public InterruptSink {
 public:
  explicit LegacyLine(InterruptSink& lines) : lines_(lines) {}
  void set_line(unsigned line, bool asserted) override {
    if (!taken_) lines_.set_line(line, asserted);
  }
  void take(bool taken) { taken_ = taken; }

 private:
  InterruptSink& lines_;
  bool taken_ = false;  // as the HPET's state has it
};

}  // namespace ringside::machine
