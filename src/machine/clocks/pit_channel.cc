#include "machine/clocks/pit.h"

namespace ringside::machine {
namespace {

constexpr std::uint32_t from_bcd(std::uint32_t v) {
  return (v & 0xf) + (v >> 4 & 0xf) * 10 + (v >> 8 & 0xf) * 100 + (v >> 12 & 0xf) * 1000;
}
constexpr std::uint32_t to_bcd(std::uint32_t v) {
  return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12;
}

}  // namespace

void PitChannel::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  // Ticks whose time in nanoseconds has 64 bits. The counter may have started before time did.
  constexpr std::int64_t kFurthest = std::int64_t{1} << 53;
  const auto in_time = [](std::uint64_t ticks) {
    const auto value = static_cast<std::int64_t>(ticks);
    return value > -kFurthest && value < kFurthest;
  };
  visitor.expect(state_.count >= 1 && state_.count <= 65536 && state_.mode <= 5 &&
                 in_time(state_.start) && in_time(state_.elapsed));
}

void PitChannel::control(std::uint8_t word, std::uint64_t) {
  const std::uint8_t gate = state_.gate;
  state_ = State{};
  state_.gate = gate;
  state_.access = word >> 4 & 3;
  const std::uint8_t mode = word >> 1 & 7;
  state_.mode = mode > 5 ? mode & 3 : mode;  // 6 and 7 are 2 and 3
  state_.bcd = word & 1;
}

void PitChannel::write(std::uint8_t value, std::uint64_t tick) {
  switch (state_.access) {
    case 1:
      load(value, tick);
      break;
    case 2:
      load(static_cast<std::uint16_t>(value << 8), tick);
      break;
    default:
      if (state_.write_high_next) {
        state_.write_high_next = 0;
        load(static_cast<std::uint16_t>(state_.write_low | value << 8), tick);
      } else {
        state_.write_low = value;
        state_.write_high_next = 1;
        // In mode 0 the first byte stops the counting.
        if (state_.mode == 0) state_.loaded = state_.running = 0;
      }
  }
}

void PitChannel::load(std::uint16_t written, std::uint64_t tick) {
  std::uint32_t count = state_.bcd ? from_bcd(written) : written;
  if (count == 0) count = state_.bcd ? 10000 : 65536;
  state_.count = count;
  state_.loaded = 1;
  if (!triggered_by_gate()) start(tick);
}

// The count reaches the counter with the next clock pulse.
void PitChannel::start(std::uint64_t tick) {
  state_.elapsed = 0;
  state_.start = tick + 1;
  state_.running = triggered_by_gate() || state_.gate;
}

void PitChannel::set_gate(bool gate, std::uint64_t tick) {
  const bool rising = gate && !state_.gate;
  const bool falling = !gate && state_.gate;
  state_.gate = gate;
  if (!state_.loaded) return;
  if (triggered_by_gate()) {
    if (rising) start(tick);
  } else if (falling) {
    state_.elapsed = elapsed(tick);
    state_.running = 0;
  } else if (rising) {
    if (state_.mode == 2 || state_.mode == 3) state_.elapsed = 0;  // reloads
    state_.start = tick + 1 - state_.elapsed;
    state_.running = 1;
  }
}

std::uint64_t PitChannel::elapsed(std::uint64_t tick) const {
  if (!state_.running) return state_.elapsed;
  // `start` may lie one tick ahead, and below zero after a pause early on.
  const auto difference = static_cast<std::int64_t>(tick - state_.start);
  return difference < 0 ? 0 : static_cast<std::uint64_t>(difference);
}

std::uint16_t PitChannel::current(std::uint64_t tick) const {
  const std::uint64_t gone = elapsed(tick);
  const std::uint32_t wrap = state_.bcd ? 10000 : 65536;
  std::uint32_t value = 0;
  if (state_.mode == 2) {
    value = state_.count - static_cast<std::uint32_t>(gone % state_.count);
  } else if (state_.mode == 3) {
    // Counts down by two, twice in a period.
    const std::uint32_t even = state_.count & ~1u;
    value = even == 0 ? 0 : even - static_cast<std::uint32_t>(gone % state_.count * 2 % even);
  } else {
    value = (state_.count + wrap - static_cast<std::uint32_t>(gone % wrap)) % wrap;
  }
  value %= wrap;
  return static_cast<std::uint16_t>(state_.bcd ? to_bcd(value) : value);
}

bool PitChannel::output(std::uint64_t tick) const {
  if (!state_.loaded) return state_.mode != 0;
  const std::uint64_t gone = elapsed(tick);
  switch (state_.mode) {
    case 0:
      return gone >= state_.count;
    case 1:
      return !state_.running || gone >= state_.count;
    case 2:
      return !state_.gate || gone % state_.count != state_.count - 1;
    case 3:
      return !state_.gate || gone % state_.count < (state_.count + 1) / 2;
    default:
      return !state_.running || gone != state_.count;
  }
}

std::optional<std::uint64_t> PitChannel::next_rise(std::uint64_t tick) const {
  if (!state_.loaded || !state_.running) return std::nullopt;
  std::uint64_t rise = 0;
  switch (state_.mode) {
    case 2:
    case 3:
      rise = state_.start + (elapsed(tick) / state_.count + 1) * state_.count;
      break;
    case 0:
    case 1:
      rise = state_.start + state_.count;
      break;
    default:
      rise = state_.start + state_.count + 1;
      break;
  }
  if (rise <= tick) return std::nullopt;
  return rise;
}

void PitChannel::latch_count(std::uint64_t tick) {
  if (state_.count_latched) return;  // the first latch stands until it is read
  state_.latched = current(tick);
  state_.count_latched = state_.access == 3 ? 2 : 1;
}

void PitChannel::latch_status(std::uint64_t tick) {
  if (state_.status_latched) return;
  state_.status = static_cast<std::uint8_t>((output(tick) ? 0x80 : 0) | (state_.loaded ? 0 : 0x40) |
                                            state_.access << 4 | state_.mode << 1 | state_.bcd);
  state_.status_latched = 1;
}

std::uint8_t PitChannel::read(std::uint64_t tick) {
  const std::uint8_t value = peek(tick);
  if (state_.status_latched) {
    state_.status_latched = 0;
    return value;
  }
  if (state_.count_latched) --state_.count_latched;
  if (state_.access == 3) state_.read_high_next = !state_.read_high_next;
  return value;
}

std::uint8_t PitChannel::peek(std::uint64_t tick) const {
  if (state_.status_latched) return state_.status;
  const std::uint16_t value = state_.count_latched ? state_.latched : current(tick);
  const bool high = state_.access == 2 || (state_.access == 3 && state_.read_high_next);
  return static_cast<std::uint8_t>(high ? value >> 8 : value);
}

}  // namespace ringside::machine
