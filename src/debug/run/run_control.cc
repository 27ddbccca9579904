#include "debug/run/run_control.h"

#include <algorithm>
#include <utility>

#include "debug/run/stop_causes.h"

namespace ringside::debug {

using Kind = Command::Kind;

RunControl::RunControl(unsigned vcpu_count) : vcpus_(vcpu_count) {}

std::vector<Command> RunControl::take_commands() { return std::exchange(commands_, {}); }

const StopEvent* RunControl::event_of(VcpuId id) const {
  const std::optional<StopEvent>& pending = vcpus_[id.value].pending;
  return pending ? &*pending : nullptr;
}

void RunControl::emit(Kind kind, std::uint32_t index) {
  commands_.push_back({kind, VcpuId{index}});
}

const hypervisor::StepRange* RunControl::stepped_range(VcpuId id) const {
  const Vcpu& vcpu = vcpus_[id.value];
  const bool range = vcpu.trap && !vcpu.lifted && vcpu.action.kind == Action::Kind::StepRange;
  return range ? &vcpu.action.range : nullptr;
}

bool RunControl::may_run(std::uint32_t index) const {
  const Vcpu& vcpu = vcpus_[index];
  return vcpu.active && vcpu.action.kind != Action::Kind::Hold && (!passing_ || *passing_ == index);
}

// --- In and out of the guest

void RunControl::launch(std::uint32_t index) {
  Vcpu& vcpu = vcpus_[index];
  // Left is at most the event of a breakpoint that has been removed, or whose new condition does
  // not hold: to execute what stands there now is all there is to do.
  vcpu.pending.reset();
  vcpu.stale = false;
  const bool passes = passing_ == index;
  if (!passes) vcpu.told = false;
  const bool trap = passes || vcpu.action.steps();
  // Switched only here, while the vCPU is certainly out of the guest; a trap left on over a stop
  // saves a client that steps and steps two switches each time.
  if (trap != vcpu.trap) emit(trap ? Kind::TrapOn : Kind::TrapOff, index);
  vcpu.trap = trap;
  if (passes) emit(Kind::Lift, index);
  vcpu.lifted = passes;
  vcpu.in_guest = true;
  emit(Kind::Resume, index);
}

void RunControl::launch_all() {
  phase_ = Phase::Running;
  passing_.reset();
  for (std::uint32_t i = 0; i < vcpus_.size() && !passing_; ++i) {
    if (may_run(i) && vcpus_[i].action.pass_breakpoint) passing_ = i;
  }
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (may_run(i) && !vcpus_[i].in_guest) launch(i);
  }
}

void RunControl::arrive(std::uint32_t index) {
  Vcpu& vcpu = vcpus_[index];
  vcpu.in_guest = false;
  vcpu.suspending = false;
  if (std::exchange(vcpu.lifted, false)) emit(Kind::Restore, index);
}

void RunControl::ask_out(std::uint32_t index) {
  if (!std::exchange(vcpus_[index].suspending, true)) emit(Kind::Suspend, index);
}

void RunControl::stop_all() {
  phase_ = Phase::Stopping;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    Vcpu& vcpu = vcpus_[i];
    if (vcpu.in_guest) ask_out(i);
  }
  settle();
}

void RunControl::settle() {
  if (phase_ != Phase::Stopping) return;
  for (const Vcpu& vcpu : vcpus_) {
    if (vcpu.in_guest) return;
  }
  if (leaving_) {
    undo();
  } else if (pausing_) {
    phase_ = Phase::Paused;
    emit(Kind::Paused, 0);
  } else {
    conclude();
  }
}

// --- Whose event is told

// Makes stopped_vcpu_ a vCPU whose event is still true, if there is one among those that the client
// let run. Events of vCPUs that it holds stay pending, and so do stale ones until their vCPU runs
// again: the breakpoint may come back before that.
void RunControl::elect() {
  const auto tells = [&](const Vcpu& vcpu) {
    return vcpu.pending && !vcpu.stale && vcpu.action.kind != Action::Kind::Hold;
  };
  if (stopped_vcpu_ && tells(vcpus_[stopped_vcpu_->value])) return;
  stopped_vcpu_.reset();
  for (std::uint32_t i = 0; i < vcpus_.size() && !stopped_vcpu_; ++i) {
    if (tells(vcpus_[i])) stopped_vcpu_ = VcpuId{i};
  }
}

// Everything is out of the guest: report, or go on if what brought it out is no longer true.
void RunControl::conclude() {
  if (mode_ == Mode::NonStop) {
    launch_all();
    return;
  }
  elect();
  // Without a client a pause for somebody who looks is all that ends here.
  if (!attached_ || (report_due_ && !stopped_vcpu_ && !interrupted_)) {
    launch_all();
    return;
  }
  phase_ = Phase::Stopped;
  passing_.reset();
  interrupted_ = false;
  if (std::exchange(report_due_, false)) {
    if (stopped_vcpu_) {
      Vcpu& vcpu = vcpus_[stopped_vcpu_->value];
      vcpu.told = vcpu.pending && is_breakpoint(vcpu.pending->cause);
    }
    emit(Kind::Report, stopped_vcpu_ ? stopped_vcpu_->value : 0);
  }
}

void RunControl::mark(const StopEvent& key, bool stale) {
  if (mode_ == Mode::NonStop) return;
  for (Vcpu& vcpu : vcpus_) {
    if (vcpu.pending == key) vcpu.stale = stale;
  }
}

void RunControl::doubt(VcpuId id) {
  Vcpu& vcpu = vcpus_[id.value];
  if (mode_ == Mode::NonStop) return;
  if (phase_ == Phase::Stopped && stopped_vcpu_ == id) return;  // as in moved()
  vcpu.stale = vcpu.pending.has_value();
}

void RunControl::moved(VcpuId id) {
  Vcpu& vcpu = vcpus_[id.value];
  vcpu.action.pass_breakpoint = false;
  vcpu.told = false;
  // What has been reported, or will be, stays the answer to "why did you stop".
  if (mode_ == Mode::NonStop) return;
  if (phase_ == Phase::Stopped && stopped_vcpu_ == id) return;
  if (vcpu.pending && is_breakpoint(vcpu.pending->cause)) {
    vcpu.pending.reset();
    vcpu.stale = false;
    if (stopped_vcpu_ == id) stopped_vcpu_.reset();
  }
}

// --- What vCPUs do

void RunControl::started(VcpuId id) {
  arrive(id.value);
  Vcpu& vcpu = vcpus_[id.value];
  vcpu.active = true;
  vcpu.told = false;
  forget_report(id.value);
  vcpu.action = others_;
  vcpu.action.pass_breakpoint = false;
  if (phase_ == Phase::Running && may_run(id.value)) {
    launch(id.value);
  } else {
    settle();
  }
}

void RunControl::vanished(VcpuId id) {
  arrive(id.value);
  vcpus_[id.value].active = false;
  // Who waits for its stop hears of one.
  if (hold_if_asked(id.value)) return;
  if (phase_ == Phase::Running && passing_ == id.value) {
    launch_all();
  } else {
    settle();
  }
}

void RunControl::reset(VcpuId id, bool active) {
  Vcpu& vcpu = vcpus_[id.value];
  if (std::exchange(vcpu.trap, false)) emit(Kind::TrapOff, id.value);
  vcpu.active = active;
  vcpu.told = vcpu.stale = vcpu.action.pass_breakpoint = false;
  vcpu.pending.reset();
  if (!active) forget_report(id.value);
  if (stopped_vcpu_ == id) stopped_vcpu_.reset();
}

void RunControl::returned(VcpuId id) {
  arrive(id.value);
  if (hold_if_asked(id.value)) return;
  if (phase_ == Phase::Running && may_run(id.value)) {
    launch(id.value);
  } else {
    settle();
  }
}

void RunControl::skipped(VcpuId id) {
  if (!attached_ || leaving_) {
    returned(id);
    return;
  }
  arrive(id.value);
  Vcpu& vcpu = vcpus_[id.value];
  vcpu.told = true;
  if (hold_if_asked(id.value)) return;
  vcpu.action.pass_breakpoint = true;
  // Alone in the guest: the others come out first.
  if (phase_ == Phase::Running) {
    stop_all();
  } else {
    settle();
  }
}

void RunControl::trapped(VcpuId id, Gva pc) {
  Vcpu& vcpu = vcpus_[id.value];
  const Action& action = vcpu.action;
  vcpu.told = false;
  vcpu.action.pass_breakpoint = false;
  const bool passed = passing_ == id.value;
  const bool goes_on = action.kind == Action::Kind::Run ||
                       (action.kind == Action::Kind::StepRange && action.range.contains(pc));
  if (!goes_on) {
    exited(id, {StopCause::Step, 0, {}});
    return;
  }
  if (passed && phase_ == Phase::Running) {
    arrive(id.value);
    if (!hold_if_asked(id.value)) launch_all();
  } else {
    returned(id);
  }
}

void RunControl::exited(VcpuId id, const StopEvent& event) {
  Vcpu& vcpu = vcpus_[id.value];
  if (!attached_ || leaving_) {
    // Nobody to tell. The vCPU executes again whatever stands there once everything is undone.
    returned(id);
    return;
  }
  arrive(id.value);
  if (mode_ == Mode::NonStop) {
    hold(id.value, event);
    return;
  }
  vcpu.pending = event;
  vcpu.stale = false;
  vcpu.told = false;
  if (!stopped_vcpu_) stopped_vcpu_ = id;
  if (phase_ == Phase::Running) {
    stop_all();
  } else {
    settle();
  }
}

// --- What the client does

void RunControl::attach() {
  attached_ = true;
  ran_ = phase_ != Phase::Stopped;
  if (phase_ == Phase::Running) stop_all();
}

// The client has heard of what was reported, and says anew what is to be done.
void RunControl::acknowledge() {
  if (stopped_vcpu_) {
    vcpus_[stopped_vcpu_->value].pending.reset();
    vcpus_[stopped_vcpu_->value].stale = false;
    stopped_vcpu_.reset();
  }
  // A step that was done beside what was reported answers the last plan, and this is another one.
  // What befell a vCPU stays to be told.
  for (Vcpu& vcpu : vcpus_) {
    if (vcpu.pending && vcpu.pending->cause == StopCause::Step) vcpu.pending.reset();
  }
  report_due_ = true;
  ran_ = false;
}

bool RunControl::resume(const ResumePlan& plan) {
  if (phase_ != Phase::Stopped || !attached_) return false;
  acknowledge();
  travelling_ = false;
  others_ = plan.others;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    vcpus_[i].action = i < plan.actions.size() ? plan.actions[i] : plan.others;
  }
  // A vCPU with an event that the client has not heard of is not let back into the guest: conclude
  // reports it at once, or lets everything run.
  conclude();
  return true;
}

bool RunControl::set_out() {
  if (phase_ != Phase::Stopped || !attached_) return false;
  acknowledge();
  travelling_ = true;
  others_ = {Action::Kind::Run, {}, false};
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    vcpus_[i].action = others_;
    // Journeys know nothing of it.
    if (std::exchange(vcpus_[i].trap, false)) emit(Kind::TrapOff, i);
  }
  return true;
}

void RunControl::arrived(std::optional<VcpuId> id, const StopEvent& event) {
  if (!std::exchange(travelling_, false)) return;
  if (id) {
    vcpus_[id->value].pending = event;
    vcpus_[id->value].stale = vcpus_[id->value].told = false;
    stopped_vcpu_ = id;
  } else {
    interrupted_ = true;
  }
  conclude();
}

void RunControl::interrupt() {
  if (!attached_ || !report_due_) return;
  interrupted_ = true;
  if (phase_ == Phase::Running) stop_all();
}

void RunControl::come_to_end() {
  if (!attached_ || phase_ != Phase::Running) return;
  if (mode_ == Mode::NonStop) {
    report_end_of_run();
    return;
  }
  const auto waits = [&](std::uint32_t index) {
    return vcpus_[index].in_guest && vcpus_[index].action.kind != Action::Kind::Hold;
  };
  std::uint32_t index = 0;
  while (index < vcpus_.size() && !waits(index))
    ++index;
  if (index == vcpus_.size()) return;
  vcpus_[index].pending = StopEvent{StopCause::HistoryEnd, 0, {}};
  vcpus_[index].stale = false;
  stopped_vcpu_ = VcpuId{index};
  stop_all();
}

void RunControl::detach() {
  if (!attached_) return;
  attached_ = false;
  renew();
}

void RunControl::renew() {
  leaving_ = true;
  ran_ = false;
  report_due_ = interrupted_ = pausing_ = travelling_ = false;
  stopped_vcpu_.reset();
  mode_ = Mode::AllStop;
  reports_.clear();
  for (Vcpu& vcpu : vcpus_) {
    vcpu.pending.reset();
    vcpu.asked.reset();
    vcpu.stale = false;
  }
  stop_all();
}

void RunControl::release() {
  leaving_ = true;
  stop_all();
}

void RunControl::undo() {
  leaving_ = false;
  passing_.reset();
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (std::exchange(vcpus_[i].trap, false)) emit(Kind::TrapOff, i);
    vcpus_[i].action = {Action::Kind::Run, {}, false};
    vcpus_[i].told = false;
  }
  others_ = {Action::Kind::Run, {}, false};
  emit(Kind::Undo, 0);
  if (attached_) {
    phase_ = Phase::Stopped;  // the next client came before the last one's traces were gone
  } else {
    launch_all();
  }
}

void RunControl::pause() {
  if (phase_ != Phase::Running) return;
  pausing_ = true;
  stop_all();
}

void RunControl::unpause() {
  if (phase_ != Phase::Paused) return;
  pausing_ = false;
  conclude();
}

}  // namespace ringside::debug
