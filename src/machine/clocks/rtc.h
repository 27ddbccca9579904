// The MC146818 real-time clock and its CMOS memory. The clock starts at a fixed time, given as
// option, and runs on virtual time. Owned by Machine.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/clocks/event_queue.h"

namespace ringside::machine {

class Rtc final : public Device, public BytePorts, private EventSink {
 public:
  static constexpr std::uint16_t kPort = 0x70;

  // Bytes of RAM below 4 GiB, and above.
  struct MemorySizes {
    std::uint64_t low = 0, high = 0;
  };
  // `start_time`: seconds since 1970 (UTC) at power-on. The memory sizes and CPU count go where
  // firmware looks for them. `alarm` is told when the alarm interrupts.
  Rtc(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine interrupt,
      std::int64_t start_time, MemorySizes ram, unsigned vcpus, std::function<void()> alarm = {});

  // The alarm is set and interrupts.
  bool alarm_is_on() const;
  // What firmware finds at a wake-up, so that it does not start the machine anew.
  void note_sleep();

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  struct State {
    std::array<std::uint8_t, 128>
        memory{};                 // the time's registers hold it only while it is stopped
    std::int64_t offset = 0;      // seconds since 1970 at phase zero
    std::uint64_t phase = 0;      // ns by which the second started before virtual time's
    std::uint64_t collected = 0;  // ns up to which the flags of register C are known
    std::uint8_t flags = 0;       // register C
    std::uint8_t index = 0;
    std::uint8_t alarmed = 0;  // 1: the alarm has interrupted, and register C was not read since
    std::uint8_t padding[5] = {};
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void run_event(unsigned code, VirtualTime due) override;

  bool stopped() const;
  std::uint64_t clock_ns() const;     // since phase zero
  std::uint64_t periodic_ns() const;  // 0: off
  std::int64_t seconds() const { return seconds_at(clock_ns()); }
  std::int64_t seconds_at(std::uint64_t ns) const;
  std::uint8_t encode(unsigned value) const;
  unsigned decode(std::uint8_t value) const;
  std::uint8_t encode_hour(unsigned hour) const;
  unsigned decode_hour(std::uint8_t value) const;
  std::uint8_t time_register(std::uint8_t index, std::int64_t seconds) const;
  void show_time(std::int64_t seconds);  // time → memory
  void take_time();                      // memory → time
  bool alarm_matches(std::int64_t seconds) const;
  std::uint8_t peek_register() const;
  std::uint8_t read_register();
  void write_register(std::uint8_t value);
  void write_a(std::uint8_t value);
  void write_b(std::uint8_t value);
  std::uint8_t flags_now() const;  // of register C
  std::uint8_t with_interrupt(std::uint8_t flags) const;
  void collect_flags();
  void update();
  void fill_configuration();

  hypervisor::CpuPort& cpus_;
  InterruptLine interrupt_;
  Timer timer_;
  std::int64_t start_time_;
  MemorySizes ram_;
  unsigned vcpus_;
  std::function<void()> alarm_;
  State state_;
};

}  // namespace ringside::machine
