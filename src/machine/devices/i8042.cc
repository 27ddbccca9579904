#include "machine/devices/i8042.h"

#include <algorithm>

#include "machine/devices/scan_codes.h"

namespace ringside::machine {
namespace {

constexpr std::uint8_t kOutputFull = 1, kSystemFlag = 4, kWasCommand = 8, kNotLocked = 0x10;
constexpr std::uint8_t kModeInterrupt = 1, kModeSystemFlag = 4, kModeDisabled = 0x10,
                       kModeTranslates = 0x40;
constexpr std::uint8_t kAcknowledge = 0xfa, kResend = 0xfe;

}  // namespace

void I8042::reset() {
  state_ = State{};
  interrupt_.set(false);
}

void I8042::reply(std::initializer_list<std::uint8_t> bytes) {
  for (std::uint8_t byte : bytes) {
    if (state_.count < state_.output.size()) state_.output[state_.count++] = byte;
  }
}

std::size_t I8042::room() const {
  const bool wanted = state_.silent == 0 && (state_.mode & kModeDisabled) == 0;
  // A code of set 1 is two of set 2 at most.
  return wanted && state_.count == 0 ? state_.output.size() / 2 : 0;
}

void I8042::receive(std::span<const std::byte> codes) {
  // The controller translates set 2 into set 1; a keyboard of set 1 is translated once too often,
  // which no guest wants.
  const bool as_they_are = (state_.mode & kModeTranslates) != 0 || state_.code_set == 1;
  for (const std::byte code : codes.first(std::min(codes.size(), room()))) {
    const auto byte = std::to_integer<std::uint8_t>(code);
    if (as_they_are) {
      reply({byte});
    } else {
      for (const std::uint8_t of_set_2 : to_set_2(byte))
        reply({of_set_2});
    }
  }
  update();
}

void I8042::update() { interrupt_.set(state_.count > 0 && (state_.mode & kModeInterrupt) != 0); }

std::uint8_t I8042::peek_port(std::uint16_t port) const {
  if (port == kCommand) {
    return static_cast<std::uint8_t>((state_.count > 0 ? kOutputFull : 0) |
                                     (state_.mode & kModeSystemFlag ? kSystemFlag : 0) |
                                     (state_.last_was_command ? kWasCommand : 0) | kNotLocked);
  }
  return state_.count > 0 ? state_.output[0] : state_.last;
}

std::uint8_t I8042::read_port(std::uint16_t port) {
  const std::uint8_t value = peek_port(port);
  if (port == kData && state_.count > 0) {
    state_.last = value;
    --state_.count;
    std::copy_n(state_.output.begin() + 1, state_.count, state_.output.begin());
    interrupt_.set(false);  // each byte is an edge of its own
    update();
    if (state_.count == 0 && taken_) taken_();
  }
  return value;
}

void I8042::write_port(std::uint16_t port, std::uint8_t value) {
  state_.last_was_command = port == kCommand;
  if (port == kCommand) {
    write_command(value);
  } else {
    write_data(value);
  }
  update();
}

void I8042::write_command(std::uint8_t command) {
  state_.expects = 0;
  switch (command) {
    case 0x20:
      reply({state_.mode});
      break;
    case 0xaa:  // self test
      state_.mode |= kModeSystemFlag;
      reply({0x55});
      break;
    case 0xab:  // keyboard interface test
      reply({0x00});
      break;
    case 0xad:
      state_.mode |= kModeDisabled;
      break;
    case 0xae:
      state_.mode &= static_cast<std::uint8_t>(~kModeDisabled);
      break;
    case 0xc0:  // input port: not locked
      reply({0x80});
      break;
    case 0xd0:
      reply({static_cast<std::uint8_t>(0xcd | (system_.a20() ? 2 : 0))});
      break;
    case 0x60:  // these wait for a byte on the data port
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4:
      state_.expects = command;
      break;
    case 0xdd:
      system_.set_a20(false);
      break;
    case 0xdf:
      system_.set_a20(true);
      break;
    default:
      // 0xf0..0xff pulse the output port's low bits; bit 0 is the processor's reset.
      if (command >= 0xf0 && (command & 1) == 0) system_.reset_machine();
      break;
  }
}

void I8042::write_data(std::uint8_t value) {
  const std::uint8_t command = state_.expects;
  state_.expects = 0;
  switch (command) {
    case 0x60:
      state_.mode = value;
      break;
    case 0xd1:
      write_output_port(value);
      break;
    case 0xd2:  // as if the keyboard had sent it
      reply({value});
      break;
    case 0xd3:  // to and from the mouse: nobody there
    case 0xd4:
      break;
    default:
      write_keyboard(value);
      break;
  }
}

void I8042::write_output_port(std::uint8_t value) {
  system_.set_a20((value & 2) != 0);
  if ((value & 1) == 0) system_.reset_machine();
}

void I8042::write_keyboard(std::uint8_t value) {
  if (const std::uint8_t command = state_.keyboard_expects; command != 0) {
    state_.keyboard_expects = 0;
    return set_keyboard(command, value);
  }
  switch (value) {
    case 0xed:  // lights
    case 0xf0:  // scan code set
    case 0xf3:  // repeat rate
      state_.keyboard_expects = value;
      reply({kAcknowledge});
      break;
    case 0xee:  // echo
      reply({0xee});
      break;
    case 0xf2:  // identify: MF2 keyboard
      reply({kAcknowledge, 0xab, static_cast<std::uint8_t>(state_.mode & 0x40 ? 0x41 : 0x83)});
      break;
    case 0xf4:  // switched on
      state_.silent = 0;
      reply({kAcknowledge});
      break;
    case 0xf5:  // switched off, and its defaults
    case 0xf6:  // its defaults
      state_.silent = value == 0xf5;
      state_.code_set = 2;
      reply({kAcknowledge});
      break;
    case 0xff:  // reset, self test passed
      state_.silent = 0;
      state_.code_set = 2;
      reply({kAcknowledge, 0xaa});
      break;
    default:
      reply({kResend});
      break;
  }
}

void I8042::set_keyboard(std::uint8_t command, std::uint8_t value) {
  reply({kAcknowledge});
  if (command != 0xf0) return;
  // A number of a set is translated as all that the keyboard sends: 1 to 43h, 2 to 41h.
  if (value == 0) {
    const bool translated = (state_.mode & kModeTranslates) != 0;
    const std::uint8_t number = state_.code_set == 1 ? 0x43 : 0x41;
    reply({translated ? number : state_.code_set});
  }
  if (value == 1 || value == 2) state_.code_set = value;
}

}  // namespace ringside::machine
