#include "machine/clocks/rtc.h"

#include <algorithm>
#include <utility>

#include "machine/clocks/calendar.h"
#include "machine/clocks/clock_math.h"

namespace ringside::machine {
namespace {

enum : std::uint8_t {
  kSeconds = 0x00,
  kSecondsAlarm = 0x01,
  kMinutes = 0x02,
  kMinutesAlarm = 0x03,
  kHours = 0x04,
  kHoursAlarm = 0x05,
  kWeekday = 0x06,
  kDay = 0x07,
  kMonth = 0x08,
  kYear = 0x09,
  kA = 0x0a,
  kB = 0x0b,
  kC = 0x0c,
  kD = 0x0d,
  kShutdownStatus = 0x0f,
  kCentury = 0x32,
};

constexpr std::uint8_t kUpdateInProgress = 0x80;                              // A
constexpr std::uint8_t kSet = 0x80, kBinary = 0x04, kHours24 = 0x02;          // B
constexpr std::uint8_t kPeriodic = 0x40, kAlarm = 0x20, kUpdateEnded = 0x10;  // B and C
constexpr std::uint8_t kInterrupt = 0x80;                                     // C
constexpr std::uint64_t kUpdateNs = 244'000;  // the warning before an update
constexpr std::int64_t kSecondsPerDay = 86400;

constexpr bool is_time(std::uint8_t index) {
  return index == kSeconds || index == kMinutes || index == kHours ||
         (index >= kWeekday && index <= kYear) || index == kCentury;
}

}  // namespace

Rtc::Rtc(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine interrupt,
         std::int64_t start_time, MemorySizes ram, unsigned vcpus, std::function<void()> alarm)
    : cpus_(cpus),
      interrupt_(interrupt),
      timer_(events, *this),
      start_time_(start_time),
      ram_(ram),
      vcpus_(vcpus),
      alarm_(std::move(alarm)) {}

void Rtc::reset() {
  state_ = State{};
  state_.offset = start_time_;
  state_.collected = clock_ns();
  state_.memory[kA] = 0x26;  // 32768 Hz crystal, periodic rate 1024 Hz
  state_.memory[kB] = kHours24;
  fill_configuration();
  update();
}

// Places by convention of PC firmware (SeaBIOS reads them where fw_cfg has nothing).
void Rtc::fill_configuration() {
  const auto put16 = [&](unsigned index, std::uint64_t value) {
    const auto v = static_cast<std::uint16_t>(std::min<std::uint64_t>(value, 0xffff));
    state_.memory[index] = static_cast<std::uint8_t>(v);
    state_.memory[index + 1] = static_cast<std::uint8_t>(v >> 8);
  };
  constexpr std::uint64_t kMiB = 1 << 20;
  const auto [low, high] = ram_;
  put16(0x15, 640);
  put16(0x17, (low - kMiB) >> 10);
  put16(0x30, (low - kMiB) >> 10);
  put16(0x34, low > 16 * kMiB ? (low - 16 * kMiB) >> 16 : 0);
  state_.memory[0x5b] = static_cast<std::uint8_t>(high >> 16);
  state_.memory[0x5c] = static_cast<std::uint8_t>(high >> 24);
  state_.memory[0x5d] = static_cast<std::uint8_t>(high >> 32);
  state_.memory[0x5f] = static_cast<std::uint8_t>(vcpus_ - 1);
}

void Rtc::visit_state(StateVisitor& visitor) {
  visitor.field(state_);
  // The registers show years up to 16665.
  constexpr std::int64_t kFurthest = std::int64_t{1} << 41;
  visitor.expect(state_.index < state_.memory.size() && state_.phase < kNsPerSecond &&
                 state_.offset > -kFurthest && state_.offset < kFurthest);
}

std::uint64_t Rtc::clock_ns() const { return cpus_.now().ns + state_.phase; }

std::int64_t Rtc::seconds_at(std::uint64_t ns) const {
  return state_.offset + static_cast<std::int64_t>(ns / kNsPerSecond);
}

bool Rtc::alarm_is_on() const { return (state_.memory[kB] & kAlarm) != 0 && !stopped(); }

// The value is QEMU's, which SeaBIOS and OVMF look for.
void Rtc::note_sleep() { state_.memory[kShutdownStatus] = 0xfe; }

// By the SET bit, or with the divider chain held in reset.
bool Rtc::stopped() const {
  return (state_.memory[kB] & kSet) != 0 || (state_.memory[kA] & 0x60) == 0x60;
}

std::uint64_t Rtc::periodic_ns() const {
  unsigned rate = state_.memory[kA] & 0xf;
  if (rate == 0) return 0;
  if (rate < 3) rate += 7;
  return (std::uint64_t{1} << (rate - 1)) * kNsPerSecond / 32768;
}

std::uint8_t Rtc::encode(unsigned value) const {
  if (state_.memory[kB] & kBinary) return static_cast<std::uint8_t>(value);
  return static_cast<std::uint8_t>(value / 10 % 10 << 4 | value % 10);
}

unsigned Rtc::decode(std::uint8_t value) const {
  return state_.memory[kB] & kBinary ? value : (value >> 4) * 10u + (value & 0xf);
}

std::uint8_t Rtc::encode_hour(unsigned hour) const {
  if (state_.memory[kB] & kHours24) return encode(hour);
  const unsigned twelve = hour % 12 == 0 ? 12 : hour % 12;
  return static_cast<std::uint8_t>(encode(twelve) | (hour >= 12 ? 0x80 : 0));
}

unsigned Rtc::decode_hour(std::uint8_t value) const {
  if (state_.memory[kB] & kHours24) return decode(value);
  return decode(value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

std::uint8_t Rtc::time_register(std::uint8_t index, std::int64_t seconds) const {
  const CivilTime time = civil_time(seconds);
  switch (index) {
    case kSeconds:
      return encode(time.second);
    case kMinutes:
      return encode(time.minute);
    case kHours:
      return encode_hour(time.hour);
    case kWeekday:
      return encode(time.weekday + 1);
    case kDay:
      return encode(time.day);
    case kMonth:
      return encode(time.month);
    case kYear:
      return encode(static_cast<unsigned>(time.year % 100));
    default:
      return encode(static_cast<unsigned>(time.year / 100 % 100));
  }
}

void Rtc::show_time(std::int64_t seconds) {
  for (const std::uint8_t index :
       {kSeconds, kMinutes, kHours, kWeekday, kDay, kMonth, kYear, kCentury})
    state_.memory[index] = time_register(index, seconds);
}

void Rtc::take_time() {
  CivilTime time;
  time.second = decode(state_.memory[kSeconds]);
  time.minute = decode(state_.memory[kMinutes]);
  time.hour = decode_hour(state_.memory[kHours]);
  time.day = decode(state_.memory[kDay]);
  time.month = decode(state_.memory[kMonth]);
  time.year = decode(state_.memory[kCentury]) * 100 + decode(state_.memory[kYear]);
  state_.offset += seconds_of(time) - seconds();
}

bool Rtc::alarm_matches(std::int64_t seconds) const {
  const CivilTime time = civil_time(seconds);
  const auto matches = [&](std::uint8_t index, std::uint8_t value) {
    const std::uint8_t wanted = state_.memory[index];
    return wanted >= 0xc0 || wanted == value;  // 11xxxxxx: any
  };
  return matches(kSecondsAlarm, encode(time.second)) &&
         matches(kMinutesAlarm, encode(time.minute)) &&
         matches(kHoursAlarm, encode_hour(time.hour));
}

// Flags rise whether or not their interrupt is enabled.
std::uint8_t Rtc::flags_now() const {
  std::uint8_t flags = state_.flags;
  const std::uint64_t from = state_.collected, to = clock_ns();
  const std::uint64_t period = periodic_ns();
  if (period != 0 && from / period != to / period) flags |= kPeriodic;
  if (stopped() || from / kNsPerSecond == to / kNsPerSecond) return flags;
  flags |= kUpdateEnded;
  const std::int64_t last = seconds_at(to);
  const std::int64_t first = std::max(seconds_at(from), last - kSecondsPerDay) + 1;
  for (std::int64_t second = first; second <= last && !(flags & kAlarm); ++second) {
    if (alarm_matches(second)) flags |= kAlarm;
  }
  return flags;
}

void Rtc::collect_flags() {
  state_.flags = flags_now();
  state_.collected = clock_ns();
}

// Register C with bit 7 as the flags and what is enabled make it.
std::uint8_t Rtc::with_interrupt(std::uint8_t flags) const {
  const std::uint8_t enabled = state_.memory[kB] & (kPeriodic | kAlarm | kUpdateEnded);
  const bool interrupt = (flags & enabled) != 0;
  return static_cast<std::uint8_t>((flags & ~kInterrupt) | (interrupt ? kInterrupt : 0));
}

// Sets the interrupt line and the time of the next look at the flags.
void Rtc::update() {
  const std::uint8_t enabled = state_.memory[kB] & (kPeriodic | kAlarm | kUpdateEnded);
  const bool was_alarmed = state_.alarmed != 0;
  state_.alarmed = (state_.flags & enabled & kAlarm) != 0 ? 1 : 0;
  state_.flags = with_interrupt(state_.flags);
  interrupt_.set((state_.flags & kInterrupt) != 0);
  std::uint64_t next = kNever.ns;
  const std::uint64_t now = clock_ns(), period = periodic_ns();
  if ((enabled & kPeriodic) && period != 0) next = (now / period + 1) * period;
  if ((enabled & (kAlarm | kUpdateEnded)) && !stopped()) {
    next = std::min(next, (now / kNsPerSecond + 1) * kNsPerSecond);
  }
  timer_.arm(next == kNever.ns ? kNever : VirtualTime{next - state_.phase});
  if (state_.alarmed != 0 && !was_alarmed && alarm_) alarm_();
}

void Rtc::run_event(unsigned, VirtualTime) {
  collect_flags();
  update();
}

std::uint8_t Rtc::read_port(std::uint16_t port) { return port == kPort ? 0xff : read_register(); }

std::uint8_t Rtc::peek_port(std::uint16_t port) const {
  return port == kPort ? 0xff : peek_register();
}

void Rtc::write_port(std::uint16_t port, std::uint8_t value) {
  if (port == kPort) {
    state_.index = value & 0x7f;  // bit 7 masks NMI; nothing here raises one
  } else {
    write_register(value);
  }
}

std::uint8_t Rtc::peek_register() const {
  const std::uint8_t index = state_.index;
  if (is_time(index) && !stopped()) return time_register(index, seconds());
  switch (index) {
    case kA: {
      const bool near_update = clock_ns() % kNsPerSecond >= kNsPerSecond - kUpdateNs;
      return state_.memory[kA] | (near_update && !stopped() ? kUpdateInProgress : 0);
    }
    case kC:
      return with_interrupt(flags_now());
    case kD:
      return 0x80;  // the battery is good
    default:
      return state_.memory[index];
  }
}

std::uint8_t Rtc::read_register() {
  const std::uint8_t value = peek_register();
  if (is_time(state_.index) && !stopped()) show_time(seconds());
  if (state_.index == kC) {
    collect_flags();
    update();
    state_.flags = 0;
    update();
  }
  return value;
}

void Rtc::write_register(std::uint8_t value) {
  const std::uint8_t index = state_.index;
  if (index == kC || index == kD) return;
  collect_flags();
  if (index == kA) {
    write_a(value & 0x7f);
  } else if (index == kB) {
    write_b(value);
  } else if (is_time(index) && !stopped()) {
    show_time(seconds());
    state_.memory[index] = value;
    take_time();
  } else {
    state_.memory[index] = value;
  }
  update();
}

void Rtc::write_a(std::uint8_t value) {
  const bool was_stopped = stopped();
  const bool divider_was_held = (state_.memory[kA] & 0x60) == 0x60;
  if (!was_stopped) show_time(seconds());
  state_.memory[kA] = value;
  if (divider_was_held && (value & 0x60) != 0x60) {
    // The first update comes half a second after the divider is released.
    const std::uint64_t phase = state_.phase;
    state_.phase = kNsPerSecond + kNsPerSecond / 2 - cpus_.now().ns % kNsPerSecond;
    state_.phase %= kNsPerSecond;
    state_.collected = state_.collected - phase + state_.phase;
  }
  if (was_stopped && !stopped()) take_time();
}

void Rtc::write_b(std::uint8_t value) {
  const bool was_stopped = stopped();
  if (!was_stopped) show_time(seconds());  // in the format that held until now
  const std::int64_t shown = seconds();
  const bool format_changes = ((state_.memory[kB] ^ value) & (kBinary | kHours24)) != 0;
  state_.memory[kB] = value;
  if (!was_stopped && format_changes && stopped()) show_time(shown);
  if (was_stopped && !stopped()) take_time();
}

}  // namespace ringside::machine
