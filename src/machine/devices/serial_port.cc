#include "machine/devices/serial_port.h"

#include <algorithm>
#include <utility>

namespace ringside::machine {
namespace {

// Interrupt enable register.
constexpr std::uint8_t kEnableReceived = 1, kEnableTransmit = 2, kEnableLine = 4, kEnableModem = 8;
// Interrupt identification, in the order of priority.
constexpr std::uint8_t kLineStatus = 6, kReceived = 4, kTimeout = 12, kTransmit = 2, kModem = 0,
                       kNone = 1;
// Line status register.
constexpr std::uint8_t kDataReady = 1, kOverrun = 2, kBreak = 0x10, kTransmitterEmpty = 0x60;
// Modem control register.
constexpr std::uint8_t kDtr = 1, kRts = 2, kOut1 = 4, kOut2 = 8;
// Modem status register.
constexpr std::uint8_t kCts = 0x10, kDsr = 0x20, kRing = 0x40, kCarrier = 0x80;

}  // namespace

SerialPort::SerialPort(std::uint16_t base, InterruptLine interrupt, ByteSink sink,
                       std::function<void()> taken)
    : base_(base), interrupt_(interrupt), sink_(std::move(sink)), taken_(std::move(taken)) {}

void SerialPort::reset() {
  state_ = State{};
  interrupt_.set(false);
}

void SerialPort::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  visitor.expect(state_.count <= kFifoSize);
}

std::size_t SerialPort::room() const {
  return loopback() || state_.count >= capacity() ? 0 : capacity() - state_.count;
}

void SerialPort::receive(std::span<const std::byte> bytes) {
  if (loopback()) return;  // the line is cut off
  for (std::byte byte : bytes)
    push(static_cast<std::uint8_t>(byte));
  update();
}

void SerialPort::push(std::uint8_t byte) {
  if (state_.count >= capacity()) {
    state_.line_errors |= kOverrun;
    // Without FIFOs the new character replaces the unread one; with them it is lost.
    if (!fifo_enabled()) state_.fifo[0] = byte;
    return;
  }
  state_.fifo[state_.count++] = byte;
}

void SerialPort::drop_received() {
  if (state_.count == 0) return;
  --state_.count;
  if (state_.count > 0) std::copy_n(state_.fifo.begin() + 1, state_.count, state_.fifo.begin());
}

std::size_t SerialPort::trigger_level() const {
  static constexpr std::size_t kLevels[] = {1, 4, 8, 14};
  return fifo_enabled() ? kLevels[state_.fifo_control >> 6] : 1;
}

std::uint8_t SerialPort::line_status() const {
  return static_cast<std::uint8_t>((state_.count > 0 ? kDataReady : 0) | state_.line_errors |
                                   kTransmitterEmpty);
}

// The modem at the other end is always ready; in loopback our own outputs come back.
std::uint8_t SerialPort::modem_lines() const {
  if (!loopback()) return kCts | kDsr | kCarrier;
  const std::uint8_t control = state_.modem_control;
  return static_cast<std::uint8_t>((control & kRts ? kCts : 0) | (control & kDtr ? kDsr : 0) |
                                   (control & kOut1 ? kRing : 0) |
                                   (control & kOut2 ? kCarrier : 0));
}

std::uint8_t SerialPort::pending_interrupt() const {
  const std::uint8_t enabled = state_.interrupt_enable;
  if ((enabled & kEnableLine) && state_.line_errors != 0) return kLineStatus;
  if ((enabled & kEnableReceived) && state_.count > 0) {
    return state_.count >= trigger_level() ? kReceived : kTimeout;
  }
  if ((enabled & kEnableTransmit) && state_.transmit_interrupt) return kTransmit;
  if ((enabled & kEnableModem) && state_.modem_deltas != 0) return kModem;
  return kNone;
}

// On the PC the interrupt reaches the controller only through OUT2, and the outputs are inactive in
// loopback.
void SerialPort::update() {
  const bool gate = (state_.modem_control & kOut2) && !loopback();
  const bool asserted = gate && pending_interrupt() != kNone;
  if (asserted == (state_.was_asserted != 0)) return;
  state_.was_asserted = asserted;
  interrupt_.set(asserted);
}

std::uint8_t SerialPort::read_port(std::uint16_t port) {
  const bool was_hungry = hungry();
  const std::uint8_t value = read_register(port - base_);
  if (taken_ && !was_hungry && hungry()) taken_();
  return value;
}

void SerialPort::write_port(std::uint16_t port, std::uint8_t value) {
  const bool was_hungry = hungry();
  write_register(port - base_, value);
  if (taken_ && !was_hungry && hungry()) taken_();
}

std::uint8_t SerialPort::peek_register(unsigned number) const {
  switch (number) {
    case 0:
      return divisor_access() ? state_.divisor_low : state_.fifo[0];
    case 1:
      return divisor_access() ? state_.divisor_high : state_.interrupt_enable;
    case 2:
      return pending_interrupt() | (fifo_enabled() ? 0xc0 : 0);
    case 3:
      return state_.line_control;
    case 4:
      return state_.modem_control;
    case 5:
      return line_status();
    case 6:
      return modem_lines() | state_.modem_deltas;
    default:
      return state_.scratch;
  }
}

std::uint8_t SerialPort::read_register(unsigned number) {
  const std::uint8_t value = peek_register(number);
  switch (number) {
    case 0:
      if (!divisor_access()) drop_received();
      break;
    case 2:
      if (pending_interrupt() == kTransmit) state_.transmit_interrupt = 0;
      break;
    case 5:
      state_.line_errors = 0;
      break;
    case 6:
      state_.modem_deltas = 0;
      break;
    default:
      return value;
  }
  update();
  return value;
}

bool SerialPort::takes_write(std::uint16_t port) const {
  return port != base_ || divisor_access() || loopback() || !sink_.full();
}

void SerialPort::write_register(unsigned number, std::uint8_t value) {
  switch (number) {
    case 0:
      if (divisor_access()) {
        state_.divisor_low = value;
      } else {
        transmit(value);
      }
      break;
    case 1:
      if (divisor_access()) {
        state_.divisor_high = value;
      } else {
        write_interrupt_enable(value);
      }
      break;
    case 2:
      write_fifo_control(value);
      break;
    case 3:
      // A break sent in loopback is received as one.
      if (loopback() && (value & 0x40) && !(state_.line_control & 0x40)) {
        push(0);
        state_.line_errors |= kBreak;
      }
      state_.line_control = value;
      break;
    case 4:
      write_modem_control(value);
      break;
    case 7:
      state_.scratch = value;
      break;
    default:
      break;  // LSR and MSR are read-only
  }
  update();
}

void SerialPort::transmit(std::uint8_t byte) {
  // The interrupt request goes away with the write and comes again at once: an edge for the
  // controller.
  state_.transmit_interrupt = 0;
  update();
  if (loopback()) {
    push(byte);
  } else if (sink_) {
    const auto sent = static_cast<std::byte>(byte);
    sink_({&sent, 1});
  }
  state_.transmit_interrupt = 1;
}

// Enabling the THRE interrupt while the transmitter is empty raises it at once.
void SerialPort::write_interrupt_enable(std::uint8_t value) {
  const bool was_enabled = (state_.interrupt_enable & kEnableTransmit) != 0;
  state_.interrupt_enable = value & 0xf;
  if ((value & kEnableTransmit) && !was_enabled) state_.transmit_interrupt = 1;
}

void SerialPort::write_fifo_control(std::uint8_t value) {
  const bool switched = ((value ^ state_.fifo_control) & 1) != 0;
  if (switched || (value & 2)) state_.count = 0;
  if (switched || (value & 4)) state_.transmit_interrupt = 1;
  // The other bits count only together with the enable bit; the two reset bits clear themselves.
  state_.fifo_control = (value & 1) ? (value & 0xc9) : 0;
}

void SerialPort::write_modem_control(std::uint8_t value) {
  const std::uint8_t before = modem_lines();
  state_.modem_control = value & 0x1f;
  const std::uint8_t now = modem_lines();
  const std::uint8_t changed = before ^ now;
  state_.modem_deltas |= (changed >> 4) & 0xb;                        // CTS, DSR, carrier
  if ((changed & kRing) && !(now & kRing)) state_.modem_deltas |= 4;  // ring: trailing edge only
}

}  // namespace ringside::machine
