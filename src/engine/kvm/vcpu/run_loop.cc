#include "engine/kvm/vcpu/run_loop.h"

#include <utility>
#include <variant>

#include "engine/kvm/step/step.h"
#include "engine/kvm/vcpu/hope.h"

namespace ringside::kvm {
namespace {

namespace exit = hypervisor::exit;
using hypervisor::VmEnd;
using Lock = Handover::Lock;

}  // namespace

void RunLoop::main() {
  while (await_guest()) {
    std::optional<Exit> why = run();
    if (!why) break;
    leave(std::move(*why));
  }
  // The machine has ended. What the vCPU's registers are is read by others from now on.
  Lock lock = parts_.handover.lock();
  parts_.handover.give_back(lock);
  parts_.handover.notify();
  parts_.handover.wait(lock, [&] { return parts_.handover.requests(lock).quit; });
}

bool RunLoop::await_guest() {
  Handover& handover = parts_.handover;
  for (;;) {
    if (core_.kernel_apic() && !start_up_.await()) return false;
    Lock lock = handover.lock();
    const Handover::Requests& requests = handover.requests(lock);
    const auto reset = [&] { return core_.kernel_apic() && !handover.alive(lock); };
    handover.wait(lock, [&] { return requests.quit || handover.is_in_guest(lock) || reset(); });
    if (requests.quit) return false;
    if (!reset()) return true;
  }
}

void RunLoop::leave(Exit why) {
  parts_.interrupts.withdraw();
  if (core_.kernel_apic()) {
    parts_.kernel_activity.note();
    core_.system.note_started();
  }
  const Lock lock = parts_.handover.lock();
  parts_.handover.give_back(lock);
  range_steps_.forget(lock);
  // What came too late for the thread.
  if (parts_.handover.requests(lock).starts()) start_up_.take(lock);
  core_.system.clock.left();
  core_.system.events.push({core_.id, std::move(why)});
}

std::optional<Exit> RunLoop::run() {
  if (core_.activity == Activity::Dead) {
    auto still = core_.die("resumed after it died", VmEnd::Kind::TripleFault);
    if (still) return still;
  }
  if (const Result<void> ready = prepare(); !ready) return core_.die(ready);
  passing_ = parts_.passed.is_due();
  for (;;) {
    parts_.thread.looks();
    switch (take_requests()) {
      case Asked::End:
        return std::nullopt;
      case Asked::Park:
        return park();
      case Asked::Nothing:
        break;
    }
    if (core_.kernel_apic() && core_.activity == Activity::WaitingForStartUp &&
        core_.monitor_trap) {
      start_up_.await_again();
      continue;
    }
    if (core_.system.device_hits_waiting) {
      if (std::optional<Exit> hit = parts_.exits.settle_page_hits()) return hit;
    }
    if (!runs_or_sleeps()) continue;
    const bool waits = core_.activity == Activity::WaitingForDevice;
    if (std::optional<Exit> why = waits ? retry_port() : settle(enter())) return why;
  }
}

Result<void> RunLoop::prepare() {
  RegisterFile& registers = core_.registers;
  TRY(parts_.exceptions.push());
  if (core_.activity == Activity::Halted) {
    TRY(registers.load(RegisterFile::kGeneral));
    core_.interrupts_on = (registers.general().rflags & x86::rflags::IF) != 0;
  }
  if (core_.kernel_apic()) {
    // The debugger may have switched interrupts off.
    TRY(registers.load(RegisterFile::kGeneral | RegisterFile::kEvents));
    if ((registers.general().rflags & x86::rflags::IF) == 0) parts_.interrupts.give_back();
  }
  TRY(registers.flush());
  parts_.interrupts.take_task_priority();
  parts_.interrupts.forget_window();
  parts_.debug.forget_slots();
  return {};
}

RunLoop::Asked RunLoop::take_requests() {
  const Lock lock = parts_.handover.lock();
  const Handover::Requests& requests = parts_.handover.requests(lock);
  if (requests.quit || core_.system.ended) return Asked::End;
  if (requests.starts()) {
    start_up_.take(lock);
    (void)core_.registers.flush();
    parts_.interrupts.forget_window();
    passing_ = false;
    parts_.passed.forget();
  }
  return requests.suspend ? Asked::Park : Asked::Nothing;
}

std::optional<Exit> RunLoop::park() {
  if (std::optional<Exit> why = parts_.exits.finish_access()) {
    if (core_.wants_stop(*why)) return why;
    parts_.passed.let_pass(*why);
  }
  if (core_.system.ended) return std::nullopt;
  return exit::Parked{};
}

bool RunLoop::runs_or_sleeps() {
  if (can_run()) return true;
  if (!core_.kernel_apic() && hope(parts_) == Hope::None) core_.system.halted();
  sleep();
  return false;
}

bool RunLoop::can_run() const {
  switch (core_.activity.load()) {
    case Activity::Running:
      return true;
    case Activity::Halted:
      if (core_.kernel_apic()) return !core_.mask_interrupts;
      return !core_.mask_interrupts && parts_.interrupts.ends_halt();
    case Activity::WaitingForDevice:
      return parts_.devices.may_retry();
    case Activity::WaitingForStartUp:
      return core_.kernel_apic();  // which waits in KVM_RUN
    default:
      return false;
  }
}

void RunLoop::sleep() {
  Lock lock = parts_.handover.lock();
  parts_.handover.wait(lock, [&] {
    return parts_.handover.requests(lock).any() || core_.system.ended ||
           core_.system.device_hits_waiting || can_run();
  });
}

std::optional<Exit> RunLoop::enter() {
  aside_ = passing_ || parts_.pages.is_blocked() || parts_.exits.is_at_debug_access();
  return core_.monitor_trap || aside_ ? step(parts_) : run_freely();
}

std::optional<Exit> RunLoop::run_freely() {
  parts_.interrupts.prepare();
  if (const Result<void> debug = parts_.debug.apply_free(); !debug) return core_.die(debug);
  if (const int error = parts_.entry.run(); error != 0) return parts_.exits.handle_failure(error);
  // A HLT is no exit where the local APIC is the kernel's; it has ended.
  if (core_.kernel_apic()) core_.activity = Activity::Running;
  if (core_.file.run().exit_reason == KVM_EXIT_HLT) parts_.pages.note_halt();
  return parts_.exits.handle();
}

// A step that was begun before ends with the access.
std::optional<Exit> RunLoop::retry_port() {
  parts_.devices.port_again();
  const bool done = parts_.devices.pending();
  if (parts_.pages.has_hits()) {
    if (std::optional<Exit> hit = settle(std::nullopt)) return hit;
  }
  if (!core_.monitor_trap || !done) return std::nullopt;
  if (std::optional<Exit> why = parts_.exits.finish_access()) return why;
  return exit::MonitorTrap{};
}

std::optional<Exit> RunLoop::settle(std::optional<Exit> why) {
  if (parts_.devices.panicked() != nullptr) {
    parts_.passed.forget();
    if (std::optional<Exit> other = parts_.exits.finish_access()) return other;
    return exit::GuestPanic{parts_.devices.take_panic()};
  }
  if (parts_.pages.has_hits()) {
    if (std::optional<Exit> hit = parts_.exits.settle_page_hits()) {
      parts_.passed.forget();
      return hit;
    }
  }
  if (!why) return std::nullopt;
  if (!core_.wants_stop(*why)) {
    parts_.passed.let_pass(*why);
    passing_ = parts_.passed.waits();
    if (passing_ || !core_.monitor_trap) return std::nullopt;
    why = exit::MonitorTrap{};
  }
  return std::holds_alternative<exit::MonitorTrap>(*why) ? settle_step() : why;
}

std::optional<Exit> RunLoop::settle_step() {
  // Not before: a vCPU may be called out of the guest without having executed anything.
  parts_.passed.forget();
  if (range_steps_.goes_on()) {
    if (std::optional<Exit> hit = parts_.passed.ahead()) {
      if (core_.wants_stop(*hit)) return hit;
      parts_.passed.let_pass(*hit);
    }
    range_steps_.let_others_run();
    return std::nullopt;
  }
  if (!aside_ || core_.monitor_trap) return exit::MonitorTrap{};
  passing_ = false;
  return std::nullopt;
}

}  // namespace ringside::kvm
