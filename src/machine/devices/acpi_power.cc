#include "machine/devices/acpi_power.h"

#include <utility>

#include "machine/bus/platform_map.h"
#include "machine/clocks/clock_math.h"

namespace ringside::machine {
namespace {

constexpr std::uint16_t kTimerStatus = 1 << 0, kPowerButton = 1 << 8, kAlarm = 1 << 10,
                        kWoken = 1 << 15;
// Timer, global lock, power button, clock; there is no sleep button.
constexpr std::uint16_t kEnableBits = kTimerStatus | 1 << 5 | kPowerButton | kAlarm;
constexpr std::uint16_t kSciEnabled = 1 << 0, kSleepEnable = 1 << 13;
// The timer's status rises whenever its highest bit changes.
constexpr std::uint64_t kHalfRange = std::uint64_t{1} << 31;
// From what wakes the machine to its first instruction: the CPUs are between two then.
constexpr std::uint64_t kWakingNs = 1000;

std::uint16_t with_byte(std::uint16_t value, unsigned index, std::uint8_t byte) {
  return static_cast<std::uint16_t>(index == 0 ? (value & 0xff00) | byte
                                               : (value & 0x00ff) | byte << 8);
}

}  // namespace

AcpiPower::AcpiPower(EventQueue& events, hypervisor::CpuPort& cpus, InterruptLine sci, Sleep sleep)
    : cpus_(cpus),
      sci_(sci),
      sleep_(std::move(sleep)),
      timer_(events, *this, kOverflow),
      wake_timer_(events, *this, kWake) {}

void AcpiPower::reset() {
  state_ = State{};
  state_.collected = ticks();
  wake_timer_.cancel();
  update();
}

bool AcpiPower::alarm_wakes() const { return (state_.enable & kAlarm) != 0; }

std::uint64_t AcpiPower::ticks() const { return ns_to_ticks(cpus_.now().ns, kTimerHz); }

std::uint16_t AcpiPower::status_now() const {
  const bool changed = state_.collected / kHalfRange != ticks() / kHalfRange;
  return static_cast<std::uint16_t>(state_.status | (changed ? kTimerStatus : 0));
}

void AcpiPower::collect_status() {
  state_.status = status_now();
  state_.collected = ticks();
}

void AcpiPower::update() {
  sci_.set(!asleep() && (state_.status & state_.enable) != 0);
  const std::uint16_t wakes = kPowerButton | (state_.enable & kAlarm);
  if (asleep() && (state_.status & wakes) != 0 && !wake_timer_.armed())
    wake_timer_.arm({cpus_.now().ns + kWakingNs});
  const std::uint64_t next = (ticks() / kHalfRange + 1) * kHalfRange;
  timer_.arm(state_.enable & kTimerStatus ? VirtualTime{ticks_to_ns(next, kTimerHz)} : kNever);
}

void AcpiPower::raise(std::uint16_t status) {
  collect_status();
  state_.status |= status;
  update();
}

bool AcpiPower::press_button() {
  raise(kPowerButton);
  return asleep() || (state_.enable & kPowerButton) != 0;
}

void AcpiPower::ring_alarm() { raise(kAlarm); }

void AcpiPower::run_event(unsigned code, VirtualTime) {
  collect_status();
  if (code == kWake) wake();
  update();
}

std::uint8_t AcpiPower::read_port(std::uint16_t port) {
  collect_status();
  return peek_port(port);
}

std::uint8_t AcpiPower::peek_port(std::uint16_t port) const {
  const unsigned offset = port - kPm1Event;
  std::uint64_t value = 0;
  switch (offset / 4) {
    case 0:
      value = status_now() | std::uint32_t{state_.enable} << 16;
      break;
    case 1:
      value = state_.control | kSciEnabled;
      break;
    default:
      value = ticks();
      break;
  }
  return static_cast<std::uint8_t>(value >> (8 * (offset % 4)));
}

void AcpiPower::write_port(std::uint16_t port, std::uint8_t value) {
  collect_status();
  const unsigned offset = port - kPm1Event;
  switch (offset) {
    case 0:
    case 1:  // ones clear
      state_.status &= static_cast<std::uint16_t>(~with_byte(0, offset, value));
      break;
    case 2:
    case 3:
      state_.enable = with_byte(state_.enable, offset - 2, value) & kEnableBits;
      break;
    case 4:
    case 5:
      write_control(with_byte(state_.control, offset - 4, value));
      break;
    default:
      break;
  }
  update();
}

void AcpiPower::write_control(std::uint16_t value) {
  state_.control = value & static_cast<std::uint16_t>(~kSleepEnable);  // write-only
  if ((value & kSleepEnable) == 0) return;
  const unsigned type = value >> 10 & 7;
  if (type == kSleepTypeS3) fall_asleep();
  if (type != kSleepTypeS5 && type != kSleepTypeS5OfFirmware) return;
  hypervisor::VmEnd end;
  end.kind = hypervisor::VmEnd::Kind::PowerOff;
  cpus_.end(std::move(end));
}

// Another processor may have done so a moment before.
void AcpiPower::fall_asleep() {
  if (asleep()) return;
  state_.asleep = 1;
  sleep_.begin();
}

void AcpiPower::wake() {
  if (!asleep()) return;
  state_.asleep = 0;
  state_.control = 0;
  state_.status |= kWoken;
  sleep_.end();
}

}  // namespace ringside::machine
