// The keyboard controller (IBM AT technical reference; 8042): the reset pulse, the A20 gate, and a
// keyboard, whose keys come from outside. There is no mouse port. Owned by Machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <type_traits>
#include <utility>

#include "machine/bus/bus.h"
#include "machine/bus/device.h"
#include "machine/bus/interrupt_line.h"
#include "machine/devices/system_control.h"

namespace ringside::machine {

class I8042 final : public Device, public BytePorts {
 public:
  static constexpr std::uint16_t kData = 0x60, kCommand = 0x64;

  // `taken` is called when the guest has read the last byte that there was.
  I8042(SystemControl& system, InterruptLine interrupt, std::function<void()> taken = nullptr)
      : system_(system), interrupt_(interrupt), taken_(std::move(taken)) {}

  // How many bytes of scan codes the keyboard can take now. 0 while the guest has not read all of
  // the last ones, or wants none.
  std::size_t room() const;
  // Keys that are pressed and released, as scan codes of set 1, which are translated where the
  // guest has asked for another. What is beyond room() is lost.
  void receive(std::span<const std::byte> codes);

  void reset() override;
  void visit_state(StateVisitor& visitor) override {
    visitor.field(state_);
    visitor.expect(state_.count <= state_.output.size());
  }
  std::uint8_t read_port(std::uint16_t port) override;
  std::uint8_t peek_port(std::uint16_t port) const override;
  void write_port(std::uint16_t port, std::uint8_t value) override;

 private:
  struct State {
    std::array<std::uint8_t, 16> output{};  // oldest first
    std::uint8_t count = 0;
    std::uint8_t last = 0;     // what the data port reads when nothing is new
    std::uint8_t mode = 0x45;  // the command byte: interrupt 1 on, system flag, translation
    std::uint8_t expects = 0;  // the command that waits for its data byte, or 0
    std::uint8_t keyboard_expects = 0;
    std::uint8_t last_was_command = 0;
    std::uint8_t silent = 0;    // the guest has switched the keyboard off
    std::uint8_t code_set = 2;  // of the keyboard's scan codes
  };
  static_assert(std::has_unique_object_representations_v<State>);

  void reply(std::initializer_list<std::uint8_t> bytes);
  void write_command(std::uint8_t command);
  void write_data(std::uint8_t value);
  void write_output_port(std::uint8_t value);
  void write_keyboard(std::uint8_t value);
  void set_keyboard(std::uint8_t command, std::uint8_t value);
  void update();

  SystemControl& system_;
  InterruptLine interrupt_;
  std::function<void()> taken_;
  State state_;
};

}  // namespace ringside::machine
