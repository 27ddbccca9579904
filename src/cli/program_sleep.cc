// The program's part in a guest that sleeps (ACPI S3): saying so, and waking it from outside.
#include <utility>

#include "cli/program.h"
#include "cli/qmp/qmp_service.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {

// Of the present: who is led through the past has been told.
void Program::tell_of_sleep() {
  if (in_past()) return;
  const machine::Sleep now = machine_->sleep();
  if (std::exchange(told_sleep_, now) == now) return;
  switch (now) {
    case machine::Sleep::Awake:
      notice("guest: awake again");
      break;
    case machine::Sleep::Asleep:
      notice(
          "guest: asleep (ACPI S3), and has set no alarm; monitor system_wakeup and Ctrl-A w wake "
          "it");
      break;
    case machine::Sleep::AsleepUntilAlarm:
      notice("guest: asleep (ACPI S3), until its clock's alarm");
      break;
  }
  if (!qmp_) return;
  if (now == machine::Sleep::Awake) {
    qmp_->tell(qmp::WakeUp{});
  } else {
    qmp_->tell(qmp::Suspend{});
  }
}

Result<void> Program::wake_guest() {
  TRY(machine_->check_asleep());
  return press_power_button();
}

}  // namespace ringside::cli
