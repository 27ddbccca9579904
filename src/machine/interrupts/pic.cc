#include "machine/interrupts/pic.h"

namespace ringside::machine {
namespace {

constexpr unsigned kCascade = 2;
// Lines that the chipset allows to be level-triggered: not 0, 1, 2, 8 and 13.
constexpr std::uint8_t kMasterLevelAllowed = 0xf8, kSlaveLevelAllowed = 0xde;

constexpr std::uint8_t bit(unsigned line) { return static_cast<std::uint8_t>(1u << line); }

}  // namespace

void Pic8259::reset() {
  const std::uint8_t lines = state_.lines;
  state_ = State{};
  state_.lines = lines;
}

void Pic8259::set_line(unsigned line, bool asserted) {
  const bool was_asserted = (state_.lines & bit(line)) != 0;
  if (asserted) {
    state_.lines |= bit(line);
  } else {
    state_.lines &= static_cast<std::uint8_t>(~bit(line));
  }
  // A level is looked at in pending(); an edge is latched until it is acknowledged.
  if (asserted && !was_asserted) state_.request |= bit(line);
}

int Pic8259::highest(std::uint8_t lines) const {
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned line = (state_.first + i) & 7;
    if (lines & bit(line)) return static_cast<int>(line);
  }
  return -1;
}

int Pic8259::pending() const {
  const std::uint8_t edges = state_.request & static_cast<std::uint8_t>(~state_.level_triggered);
  const std::uint8_t levels = state_.lines & state_.level_triggered;
  const int request = highest((edges | levels) & static_cast<std::uint8_t>(~state_.mask));
  if (request < 0) return -1;
  std::uint8_t service = state_.service;
  // In special mask mode a masked line in service holds nothing back.
  if (state_.special_mask) service &= static_cast<std::uint8_t>(~state_.mask);
  // In special fully nested mode the cascade may interrupt itself.
  if (state_.fully_nested_special) service &= static_cast<std::uint8_t>(~bit(kCascade));
  const int serviced = highest(service);
  if (serviced < 0) return request;
  const unsigned request_rank = (static_cast<unsigned>(request) - state_.first) & 7;
  const unsigned service_rank = (static_cast<unsigned>(serviced) - state_.first) & 7;
  return request_rank < service_rank ? request : -1;
}

int Pic8259::acknowledge() {
  const int request = pending();
  if (request < 0) return -1;
  const auto line = static_cast<unsigned>(request);
  state_.request &= static_cast<std::uint8_t>(~bit(line));
  if (state_.automatic_eoi) {
    if (state_.rotate_on_automatic_eoi) state_.first = static_cast<std::uint8_t>((line + 1) & 7);
  } else {
    state_.service |= bit(line);
  }
  return request;
}

std::uint8_t Pic8259::read(unsigned a0) {
  const std::uint8_t value = peek(a0);
  if (state_.poll) {
    state_.poll = 0;
    acknowledge();
  }
  return value;
}

std::uint8_t Pic8259::peek(unsigned a0) const {
  if (state_.poll) {
    const int line = pending();
    return line < 0 ? 0 : static_cast<std::uint8_t>(0x80 | line);
  }
  if (a0 == 1) return state_.mask;
  if (state_.read_service) return state_.service;
  const std::uint8_t levels = state_.lines & state_.level_triggered;
  return static_cast<std::uint8_t>((state_.request & ~state_.level_triggered) | levels);
}

void Pic8259::write(unsigned a0, std::uint8_t value) {
  if (a0 == 0) {
    if (value & 0x10) {
      start_initialisation(value);
    } else if (value & 0x08) {  // OCW3
      if (value & 0x04) state_.poll = 1;
      if (value & 0x02) state_.read_service = value & 1;
      if (value & 0x40) state_.special_mask = value >> 5 & 1;
    } else {
      write_command(value);
    }
  } else if (state_.init_step != 0) {
    write_initialisation(value);
  } else {
    state_.mask = value;
  }
}

void Pic8259::start_initialisation(std::uint8_t icw1) {
  State fresh;
  fresh.lines = state_.lines;
  fresh.level_triggered = state_.level_triggered;
  fresh.mask = 0;
  fresh.init_step = 2;
  fresh.needs_icw4 = icw1 & 1;
  fresh.single = icw1 >> 1 & 1;
  state_ = fresh;
}

void Pic8259::write_initialisation(std::uint8_t value) {
  switch (state_.init_step) {
    case 2:
      state_.vector_base = value & 0xf8;
      state_.init_step = !state_.single ? 3 : state_.needs_icw4 ? 4 : 0;
      break;
    case 3:  // how the chips are wired is fixed on a PC
      state_.init_step = state_.needs_icw4 ? 4 : 0;
      break;
    default:
      state_.fully_nested_special = value >> 4 & 1;
      state_.automatic_eoi = value >> 1 & 1;
      state_.init_step = 0;
      break;
  }
}

void Pic8259::end_of_interrupt(unsigned line, bool rotate) {
  state_.service &= static_cast<std::uint8_t>(~bit(line));
  if (rotate) state_.first = static_cast<std::uint8_t>((line + 1) & 7);
}

void Pic8259::write_command(std::uint8_t value) {  // OCW2
  const unsigned line = value & 7;
  const unsigned command = value >> 5;
  switch (command) {
    case 0:
    case 4:
      state_.rotate_on_automatic_eoi = command == 4;
      break;
    case 1:
    case 5: {
      std::uint8_t service = state_.service;
      if (state_.special_mask) service &= static_cast<std::uint8_t>(~state_.mask);
      const int highest_line = highest(service);
      if (highest_line >= 0) end_of_interrupt(static_cast<unsigned>(highest_line), command == 5);
      break;
    }
    case 3:
    case 7:
      end_of_interrupt(line, command == 7);
      break;
    case 6:
      state_.first = static_cast<std::uint8_t>((line + 1) & 7);
      break;
    default:
      break;
  }
}

void PicPair::reset() {
  master_.reset();
  slave_.reset();
  set_master_levels(0);
  update();
}

void PicPair::set_bios_vectors() {
  master_.set_vector_base(hypervisor::PicPairImage::kBiosMasterVectors);
  slave_.set_vector_base(hypervisor::PicPairImage::kBiosSlaveVectors);
}

void PicPair::visit_state(StateVisitor& visitor) {
  master_.visit_state(visitor);
  slave_.visit_state(visitor);
}

// The cascade is a level inside the chipset: it must go away with the slave's request.
void PicPair::set_master_levels(std::uint8_t lines) {
  master_.set_level_triggered((lines & kMasterLevelAllowed) | bit(kCascade));
}

void PicPair::update() {
  master_.set_line(kCascade, slave_.output());
  output_.set(master_.output());
}

void PicPair::set_line(unsigned line, bool asserted) {
  if (line < 8) {
    master_.set_line(line, asserted);
  } else {
    slave_.set_line(line - 8, asserted);
  }
  update();
}

// A request that went away is answered with line 7 of the chip, which is not in service then.
std::uint8_t PicPair::acknowledge() {
  const int line = master_.acknowledge();
  std::uint8_t vector = 0;
  if (line == static_cast<int>(kCascade)) {
    const int slave_line = slave_.acknowledge();
    vector = slave_.vector(slave_line < 0 ? 7 : static_cast<unsigned>(slave_line));
  } else {
    vector = master_.vector(line < 0 ? 7 : static_cast<unsigned>(line));
  }
  update();
  return vector;
}

std::uint8_t PicPair::peek_vector() const {
  const int line = master_.pending();
  const bool is_slaves = line == static_cast<int>(kCascade);
  const int own = is_slaves ? slave_.pending() : line;
  return (is_slaves ? slave_ : master_).vector(own < 0 ? 7 : static_cast<unsigned>(own));
}

std::uint8_t PicPair::read_port(std::uint16_t port) {
  const std::uint8_t value = peek_port(port);
  if (port < kEdgeLevel) {
    (port < kSlave ? master_ : slave_).read(port & 1);
    update();  // a poll is an acknowledge
  }
  return value;
}

std::uint8_t PicPair::peek_port(std::uint16_t port) const {
  if (port == kEdgeLevel) return master_.level_triggered() & kMasterLevelAllowed;
  if (port == kEdgeLevel + 1) return slave_.level_triggered();
  return (port < kSlave ? master_ : slave_).peek(port & 1);
}

void PicPair::write_port(std::uint16_t port, std::uint8_t value) {
  if (port == kEdgeLevel) {
    set_master_levels(value);
  } else if (port == kEdgeLevel + 1) {
    slave_.set_level_triggered(value & kSlaveLevelAllowed);
  } else {
    (port < kSlave ? master_ : slave_).write(port & 1, value);
  }
  update();
}

}  // namespace ringside::machine
