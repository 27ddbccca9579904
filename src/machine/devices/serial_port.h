// A 16550A UART (National Semiconductor PC16550D data sheet). Sending takes no time: the
// transmitter is always empty again at once. Received bytes come from Machine::input between
// slices; the character time-out, too, comes at once.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "machine/bus/bus.h"
#include "machine/bus/byte_sink.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"

namespace ringside::machine {

class SerialPort final : public Device, public BytePorts {
 public:
  static constexpr std::uint16_t kPorts = 8;

  // `base`: port of register 0, a multiple of 8. An empty sink drops what is sent. `taken` is
  // called when no received byte is left and more can come.
  SerialPort(std::uint16_t base, InterruptLine interrupt, ByteSink sink,
             std::function<void()> taken = nullptr);

  // How many bytes receive() can take without an overrun.
  std::size_t room() const;
  void receive(std::span<const std::byte> bytes);

  void reset() override;
  void visit_state(StateVisitor& visitor) override;
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override { return peek_register(port - base_); }
  void write_port(std::uint16_t port, std::uint8_t value) override;
  bool takes_write(std::uint16_t port) const override;

 private:
  static constexpr std::size_t kFifoSize = 16;

  struct State {
    std::array<std::uint8_t, kFifoSize> fifo{};  // oldest first
    std::uint8_t count = 0;
    std::uint8_t interrupt_enable = 0;
    std::uint8_t fifo_control = 0;
    std::uint8_t line_control = 0;
    std::uint8_t modem_control = 0;
    std::uint8_t line_errors = 0;   // the LSR bits that a read clears
    std::uint8_t modem_deltas = 0;  // MSR bits 0..3
    std::uint8_t scratch = 0;
    std::uint8_t divisor_low = 12;  // 9600 baud
    std::uint8_t divisor_high = 0;
    std::uint8_t transmit_interrupt = 0;  // THR became empty and IIR has not told yet
    std::uint8_t was_asserted = 0;
  };

  bool fifo_enabled() const { return (state_.fifo_control & 1) != 0; }
  bool divisor_access() const { return (state_.line_control & 0x80) != 0; }
  bool hungry() const { return state_.count == 0 && !loopback(); }
  bool loopback() const { return (state_.modem_control & 0x10) != 0; }
  std::size_t capacity() const { return fifo_enabled() ? kFifoSize : 1; }
  std::size_t trigger_level() const;

  void drop_received();
  void push(std::uint8_t byte);
  void transmit(std::uint8_t byte);
  void write_interrupt_enable(std::uint8_t value);
  void write_fifo_control(std::uint8_t value);
  void write_modem_control(std::uint8_t value);
  std::uint8_t line_status() const;
  std::uint8_t modem_lines() const;
  std::uint8_t pending_interrupt() const;  // as IIR bits 0..3
  std::uint8_t peek_register(unsigned number) const;
  std::uint8_t read_register(unsigned number);
  void write_register(unsigned number, std::uint8_t value);
  void update();

  std::uint16_t base_;
  InterruptLine interrupt_;
  ByteSink sink_;
  std::function<void()> taken_;
  State state_;
};

}  // namespace ringside::machine
