#include "machine/hpet/hpet.h"

#include <utility>

namespace ringside::machine {
namespace {

// Registers, by offset of their 8 bytes; a timer has 0x20 bytes from 0x100 on.
enum : std::uint64_t {
  kIdentity = 0x00,
  kConfiguration = 0x10,
  kStatus = 0x20,
  kCounter = 0xf0,
  kFirstTimer = 0x100,
  kTimerSize = 0x20,
  kComparator = 0x08,
};

constexpr std::uint64_t kEnabled = 1 << 0, kLegacy = 1 << 1;
// Of a timer.
constexpr std::uint64_t kLevel = 1 << 1, kInterrupts = 1 << 2, kPeriodic = 1 << 3,
                        kCanRepeat = 1 << 4, kIs64Bit = 1 << 5, kSetsMatch = 1 << 6,
                        kUse32Bits = 1 << 8, kRoute = 0x1f << 9;
constexpr std::uint64_t kWritable =
    kLevel | kInterrupts | kPeriodic | kSetsMatch | kUse32Bits | kRoute;
// ISA lines that no other device has.
constexpr std::uint64_t kRoutes = 1 << 10 | 1 << 11;
constexpr std::uint64_t kFixed = kCanRepeat | kIs64Bit | kRoutes << 32;
constexpr unsigned kPitLine = 0, kClockLine = 8;
constexpr std::uint64_t kLegacyLines = 1 << kPitLine | 1 << kClockLine;

constexpr std::uint64_t mask_of(std::uint64_t control) {
  return (control & kUse32Bits) != 0 ? 0xffffffff : ~std::uint64_t{0};
}

// How many ticks after `counter` the match comes, less one: at least one tick, at most once round.
constexpr std::uint64_t ticks_before(std::uint64_t counter, std::uint64_t match,
                                     std::uint64_t mask) {
  return (match - counter - 1) & mask;
}

}  // namespace

Hpet::Hpet(EventQueue& events, hypervisor::CpuPort& cpus, InterruptSink& lines,
           std::function<void(bool)> replaces_legacy)
    : cpus_(cpus),
      lines_(lines),
      replaces_legacy_(std::move(replaces_legacy)),
      alarms_{Timer(events, *this, 0), Timer(events, *this, 1), Timer(events, *this, 2)} {}

void Hpet::reset() {
  assert_lines(0);
  if (is_legacy()) replaces_legacy_(false);
  state_ = State{};
  for (Comparator& timer : state_.timers) {
    timer.control = kFixed;
    timer.match = ~std::uint64_t{0};
  }
  update();
}

void Hpet::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  bool possible = (state_.configuration & ~(kEnabled | kLegacy)) == 0 &&
                  (state_.status >> kTimers) == 0 &&
                  (state_.asserted & ~(kRoutes | kLegacyLines)) == 0;
  for (const Comparator& timer : state_.timers)
    possible &= (timer.control & ~kWritable) == kFixed;
  visitor.expect(possible);
  if (visitor.loading()) replaces_legacy_(is_legacy());
}

std::uint64_t Hpet::ticks() const { return cpus_.now().ns / kTickNs; }

std::uint64_t Hpet::advance(State& state) const {
  const std::uint64_t from = state.collected, to = counter();
  state.collected = to;
  if (!runs()) return 0;
  std::uint64_t matches = 0;
  for (unsigned i = 0; i < kTimers; ++i) {
    Comparator& timer = state.timers[i];
    const std::uint64_t mask = mask_of(timer.control);
    const std::uint64_t before = ticks_before(from, timer.match, mask);
    if (to - from <= before) continue;
    matches |= std::uint64_t{1} << i;
    if ((timer.control & kLevel) != 0) state.status |= std::uint64_t{1} << i;
    if ((timer.control & kPeriodic) == 0 || timer.period == 0) continue;
    // The next one that is yet to come.
    const std::uint64_t passed = (to - from - 1 - before) / timer.period + 1;
    timer.match = (timer.match + passed * timer.period) & mask;
  }
  return matches;
}

void Hpet::collect() {
  const std::uint64_t matches = advance(state_);
  for (unsigned i = 0; i < kTimers; ++i) {
    const std::uint64_t control = state_.timers[i].control;
    const bool pulses = (matches >> i & 1) != 0 && (control & kInterrupts) != 0;
    const std::optional<unsigned> line = line_of(i);
    if (!pulses || (control & kLevel) != 0 || !line) continue;
    lines_.set_line(*line, true);
    lines_.set_line(*line, (state_.asserted >> *line & 1) != 0);  // by a level's timer
  }
}

std::optional<unsigned> Hpet::line_of(unsigned timer) const {
  if (is_legacy() && timer == 0) return kPitLine;
  if (is_legacy() && timer == 1) return kClockLine;
  const auto line = static_cast<unsigned>((state_.timers[timer].control & kRoute) >> 9);
  if ((kRoutes >> line & 1) == 0) return std::nullopt;
  return line;
}

// Lines of level-triggered timers, and when to look again.
void Hpet::update() {
  std::uint64_t asserted = 0;
  for (unsigned i = 0; i < kTimers; ++i) {
    const Comparator& timer = state_.timers[i];
    const bool interrupts = runs() && (timer.control & kInterrupts) != 0;
    const std::optional<unsigned> line = line_of(i);
    if (interrupts && line && (state_.status >> i & 1) != 0) asserted |= std::uint64_t{1} << *line;
    const std::uint64_t before = ticks_before(counter(), timer.match, mask_of(timer.control));
    // Beyond what time there is.
    constexpr std::uint64_t kFarOff = std::uint64_t{1} << 56;
    alarms_[i].arm(
        !interrupts || before >= kFarOff ? kNever : VirtualTime{(ticks() + before + 1) * kTickNs});
  }
  assert_lines(asserted);
}

void Hpet::assert_lines(std::uint64_t wanted) {
  for (const unsigned line : {kPitLine, kClockLine, 10u, 11u}) {
    const bool now = (wanted >> line & 1) != 0;
    if (now != ((state_.asserted >> line & 1) != 0)) lines_.set_line(line, now);
  }
  state_.asserted = wanted;
}

void Hpet::run_event(unsigned, VirtualTime) {
  collect();
  update();
}

std::uint64_t Hpet::get(std::uint64_t offset, const State& state) const {
  constexpr std::uint64_t kFemtosecondsPerNs = 1'000'000;
  switch (offset) {
    case kIdentity:
      return kCapabilities | kTickNs * kFemtosecondsPerNs << 32;
    case kConfiguration:
      return state.configuration;
    case kStatus:
      return state.status;
    case kCounter:
      return counter();
    default:
      break;
  }
  const std::uint64_t timer = (offset - kFirstTimer) / kTimerSize;
  if (offset < kFirstTimer || timer >= kTimers) return 0;
  const Comparator& which = state.timers[timer];
  if (offset % kTimerSize == 0) return which.control;
  return offset % kTimerSize == kComparator ? which.match & mask_of(which.control) : 0;
}

std::uint64_t Hpet::peek_mmio(const MmioAccess& access) const {
  State now = state_;
  (void)advance(now);
  return get(access.offset & ~std::uint64_t{7}, now) >> (8 * (access.offset & 7));
}

std::uint64_t Hpet::read_mmio(const MmioAccess& access) { return peek_mmio(access); }

// Registers are written 32 or 64 bits at a time (2.3.1).
void Hpet::write_mmio(const MmioAccess& access, std::uint64_t value) {
  if (access.width < 4 || access.offset % access.width != 0) return;
  const auto shift = static_cast<unsigned>(8 * (access.offset & 7));
  collect();
  put(access.offset & ~std::uint64_t{7}, value << shift, all_ones(access.width) << shift);
  update();
}

// `mask` has the bits that are written.
void Hpet::put(std::uint64_t offset, std::uint64_t value, std::uint64_t mask) {
  const auto merged = [&](std::uint64_t before) { return (before & ~mask) | (value & mask); };
  switch (offset) {
    case kConfiguration:
      return put_configuration(merged(state_.configuration));
    case kStatus:  // ones clear
      state_.status &= ~value;
      return;
    case kCounter:
      if (!runs()) state_.counter = state_.collected = merged(state_.counter);
      return;
    default:
      break;
  }
  const std::uint64_t timer = (offset - kFirstTimer) / kTimerSize;
  if (offset < kFirstTimer || timer >= kTimers) return;
  Comparator& which = state_.timers[timer];
  if (offset % kTimerSize == 0) {
    put_control(static_cast<unsigned>(timer), merged(which.control));
  } else if (offset % kTimerSize == kComparator) {
    put_comparator(which, value, mask);
  }
}

void Hpet::put_configuration(std::uint64_t value) {
  value &= kEnabled | kLegacy;
  if (((value ^ state_.configuration) & kEnabled) != 0)
    state_.counter = runs() ? counter() : state_.counter - ticks();
  const bool legacy_changes = ((value ^ state_.configuration) & kLegacy) != 0;
  if (legacy_changes) assert_lines(0);  // each while it is theirs
  state_.configuration = value;
  state_.collected = counter();
  if (!legacy_changes) return;
  replaces_legacy_(is_legacy());
  if (!is_legacy()) return;
  // The 8254's is high most of the time, and would hide the first edge.
  for (const unsigned line : {kPitLine, kClockLine})
    lines_.set_line(line, false);
}

// A route that is not offered is none: the one before stays (2.3.8.1).
void Hpet::put_control(unsigned timer, std::uint64_t value) {
  std::uint64_t& control = state_.timers[timer].control;
  std::uint64_t writable = kWritable;
  if ((kRoutes >> ((value & kRoute) >> 9) & 1) == 0) writable &= ~kRoute;
  control = (control & ~writable) | (value & writable);
  if ((control & kLevel) == 0) state_.status &= ~(std::uint64_t{1} << timer);
}

// In a periodic timer this is the period, and the next match too where that was asked for (2.3.8.1,
// Tn_VAL_SET_CNF).
void Hpet::put_comparator(Comparator& timer, std::uint64_t value, std::uint64_t mask) {
  const auto merged = [&](std::uint64_t before) {
    return ((before & ~mask) | (value & mask)) & mask_of(timer.control);
  };
  const bool periodic = (timer.control & kPeriodic) != 0;
  if (!periodic || (timer.control & kSetsMatch) != 0) timer.match = merged(timer.match);
  if (periodic) timer.period = merged(timer.period);
  timer.control &= ~kSetsMatch;
}

}  // namespace ringside::machine
