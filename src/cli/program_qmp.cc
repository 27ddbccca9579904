// The program's part in the machine protocol: what it reaches, and what it is told of the end.
#include "cli/program.h"
#include "cli/qmp/qmp_service.h"

namespace ringside::cli {

Result<void> Program::open_qmp() {
  QmpSubjects subjects{.vm = *holdable_,
                       .debugger = *debugger_,
                       .ram = ram_,
                       .machine = *machine_,
                       .loop = poller_,
                       .uses_kvm = engine_->name() == "kvm",
                       .files = folder(sandbox::FolderOf::Files),
                       .reset = [this]() -> Result<void> {
                         TRY(reset_machine());
                         return {};
                       },
                       .press_power_button = [this] { return press_power_button(); },
                       .wake_up = [this] { return wake_guest(); },
                       .moment = [this] { return moment(); },
                       .core = [this] { return core_subject({0}); },
                       .tell = {}};
  qmp_ = TRY(QmpService::open(poller_, *options_.qmp, std::move(subjects), admission()));
  say_where({"qmp", to_string(qmp_->endpoint()), false, options_.gdb_allow, {}});
  return {};
}

std::optional<std::string> Program::why_still() const {
  if (!qmp_ || !qmp_->is_writing()) return std::nullopt;
  return "the machine protocol makes a file of the guest, which stays as it is until that is "
         "written (query-dump)";
}

Result<void> Program::refuse_while_still() const {
  if (const auto why = why_still()) return fail(ErrorCode::Busy, *why);
  return {};
}

// Where there is no past, there is no other moment.
time::Position Program::moment() const { return travels_ ? travels_->here().at : time::Position{}; }

Result<void> Program::press_power_button() {
  TRY(refuse_while_still());
  TRY(timeline_->note(time::PowerButton{}));
  (void)machine_->press_power_button();
  return {};
}

// As QEMU's ShutdownCause has it, which ends at a reboot too where it is told not to (-no-reboot).
std::string_view Program::reason_of_shutdown(bool by_guest) const {
  using Kind = hypervisor::VmEnd::Kind;
  if (!by_guest) return signals_.received().empty() ? "host-ui" : "host-signal";
  switch (engine_->ended()->kind) {
    case Kind::Reboot:
    case Kind::TripleFault:
      return "guest-reset";
    case Kind::Error:
      return "host-error";
    case Kind::PowerOff:
    case Kind::Halt:
    case Kind::DebugExit:
      break;
  }
  return "guest-shutdown";
}

void Program::tell_shutdown(bool by_guest) {
  if (!qmp_->wants_vm_end()) qmp_->tell(qmp::Shutdown{by_guest, reason_of_shutdown(by_guest)});
  qmp_->settle();
}

}  // namespace ringside::cli
