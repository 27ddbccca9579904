// The machine sleeps (ACPI S3) and wakes: memory, the clock and what wakes it keep their power, the
// rest is as at power-on afterwards.
#include "machine/machine_parts.h"
#include "machine/waking_vector.h"

namespace ringside::machine {

void Machine::Parts::reset_devices(Power after) {
  for (Device* device : devices) {
    const bool keeps_power = device == &rtc || device == &power;
    if (after == Power::On || !keeps_power) device->reset();
  }
  if (options.has_firmware) return;
  place_pci();
  pics.set_bios_vectors();
}

// At once, because nothing of them may be seen in between: whose timer is due, or who asks for an
// input.
void Machine::Parts::fall_asleep() {
  reset_devices(Power::Sleep);
  if (options.has_firmware) rtc.note_sleep();
  cpus.fall_asleep();
  if (options.sleep_changed) options.sleep_changed();
}

// Firmware finds the vector itself.
void Machine::Parts::wake() {
  const std::optional<x86::CpuState> entry =
      options.has_firmware ? x86::reset_state() : waking_state(ram);
  if (options.sleep_changed) options.sleep_changed();
  if (entry) return cpus.wake(*entry);
  hypervisor::VmEnd end;
  end.kind = hypervisor::VmEnd::Kind::Reboot;
  end.reason = "it has woken, and left no waking vector in the FACS";
  cpus.end(std::move(end));
}

Sleep Machine::sleep() const {
  Lock lock(*parts_);
  if (!parts_->power.asleep()) return Sleep::Awake;
  const bool alarm = parts_->power.alarm_wakes() && parts_->rtc.alarm_is_on();
  return alarm ? Sleep::AsleepUntilAlarm : Sleep::Asleep;
}

Result<void> Machine::check_asleep() const {
  if (sleep() != Sleep::Awake) return {};
  return fail(ErrorCode::BadRequest, "the guest does not sleep");
}

}  // namespace ringside::machine
