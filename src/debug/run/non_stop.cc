// What run control does in non-stop mode alone.
#include <algorithm>
#include <utility>

#include "debug/run/run_control.h"
#include "debug/run/stop_causes.h"

namespace ringside::debug {

using Kind = Command::Kind;

bool RunControl::set_mode(Mode mode) {
  if (mode == mode_ || !attached_ || leaving_ || travelling_) return false;
  if (mode == Mode::NonStop) {
    if (phase_ != Phase::Stopped) return false;
    phase_ = Phase::Running;
    others_ = {Action::Kind::Run, {}, false};
    // Stock GDB wants one thread that stands, and no more.
    const auto tells = [](const Vcpu& vcpu) { return vcpu.pending && !vcpu.stale; };
    bool somebody_stands = std::any_of(vcpus_.begin(), vcpus_.end(), tells);
    for (Vcpu& vcpu : vcpus_) {
      // Its breakpoint is gone, and it has not been told: it will not be.
      if (std::exchange(vcpu.stale, false)) vcpu.pending.reset();
      if (vcpu.pending && is_breakpoint(vcpu.pending->cause)) vcpu.told = true;
      vcpu.action = ran_ && somebody_stands && vcpu.active && !vcpu.pending ? others_ : Action{};
      somebody_stands |= vcpu.active;
    }
    stopped_vcpu_.reset();
  } else {
    if (phase_ != Phase::Paused) return false;
    phase_ = Phase::Stopped;
    pausing_ = false;
    passing_.reset();
    stopped_vcpu_ = why_stopped();
    for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
      if (stopped_vcpu_ == VcpuId{i}) continue;
      if (std::find(reports_.begin(), reports_.end(), i) == reports_.end()) {
        vcpus_[i].pending.reset();
      } else {
        vcpus_[i].told = false;
      }
    }
    reports_.clear();
  }
  mode_ = mode;
  if (std::exchange(ran_, false)) launch_all();
  return true;
}

// Whose stop is the machine's: the first that the client has not acknowledged, or else one that it
// has, a dead vCPU's before others'.
std::optional<VcpuId> RunControl::why_stopped() const {
  if (!reports_.empty()) return VcpuId{reports_.front()};
  std::optional<VcpuId> found;
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    const Vcpu& vcpu = vcpus_[i];
    if (!vcpu.active || !held({i}) || !vcpu.pending) continue;
    if (vcpu.pending->cause == StopCause::Dead) return VcpuId{i};
    if (!found) found = VcpuId{i};
  }
  return found;
}

bool RunControl::stopped() const {
  if (mode_ == Mode::AllStop) return phase_ == Phase::Stopped;
  const auto goes = [](const Vcpu& vcpu) {
    return vcpu.active && (vcpu.in_guest || vcpu.action.kind != Action::Kind::Hold);
  };
  return std::none_of(vcpus_.begin(), vcpus_.end(), goes);
}

bool RunControl::stops_one() const {
  const auto stops = [](const Vcpu& vcpu) { return vcpu.asked.has_value(); };
  return std::any_of(vcpus_.begin(), vcpus_.end(), stops);
}

void RunControl::resume_each(const std::vector<Action>& actions) {
  if (mode_ != Mode::NonStop) return;
  bool passes = false;
  for (std::uint32_t i = 0; i < vcpus_.size() && i < actions.size(); ++i) {
    Vcpu& vcpu = vcpus_[i];
    if (!vcpu.active || actions[i].kind == Action::Kind::Hold || !held({i})) continue;
    if (std::find(reports_.begin(), reports_.end(), i) != reports_.end()) continue;
    vcpu.action = actions[i];
    passes |= vcpu.action.pass_breakpoint;
  }
  if (phase_ != Phase::Running) return;  // they are let go with the others
  // Alone in the guest: the others come out first. One that is alone already is not disturbed.
  if (passes && !passing_) {
    stop_all();
    return;
  }
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (may_run(i) && !vcpus_[i].in_guest) launch(i);
  }
}

void RunControl::stop(VcpuId id, StopCause cause) {
  Vcpu& vcpu = vcpus_[id.value];
  if (mode_ != Mode::NonStop || held(id) || !vcpu.active) return;
  if (!vcpu.in_guest) {
    hold(id.value, {cause, 0, {}});
  } else if (!std::exchange(vcpu.asked, vcpu.asked.value_or(cause))) {
    ask_out(id.value);
  }
}

std::optional<VcpuId> RunControl::acknowledge_report() {
  if (!reports_.empty()) reports_.erase(reports_.begin());
  if (reports_.empty()) return std::nullopt;
  return VcpuId{reports_.front()};
}

std::optional<VcpuId> RunControl::report_again() {
  if (mode_ != Mode::NonStop) return std::nullopt;
  // In the order in which they stopped, as far as that is still known.
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    const bool known = std::find(reports_.begin(), reports_.end(), i) != reports_.end();
    if (!known && vcpus_[i].active && held({i})) reports_.push_back(i);
  }
  if (reports_.empty()) return std::nullopt;
  return VcpuId{reports_.front()};
}

void RunControl::report_anew() {
  if (!reports_.empty()) return;  // the others follow it
  if (const auto first = report_again()) emit(Kind::Report, first->value);
}

// The client has it stopped from now on, and hears of this. It is out of the guest.
void RunControl::hold(std::uint32_t index, const StopEvent& event) {
  Vcpu& vcpu = vcpus_[index];
  vcpu.asked.reset();
  vcpu.pending = event;
  vcpu.stale = false;
  vcpu.action = {};
  if (is_breakpoint(event.cause)) vcpu.told = true;
  reports_.push_back(index);
  if (reports_.size() == 1) emit(Kind::Report, index);
  if (phase_ == Phase::Running && passing_ == index) {
    launch_all();
  } else {
    settle();
  }
}

bool RunControl::hold_if_asked(std::uint32_t index) {
  if (!vcpus_[index].asked) return false;
  hold(index, {*vcpus_[index].asked, 0, {}});
  return true;
}

// It lives anew, or not any more. What the client was notified of it will acknowledge.
void RunControl::forget_report(std::uint32_t index) {
  const auto first = reports_.empty() ? reports_.end() : reports_.begin() + 1;
  reports_.erase(std::remove(first, reports_.end(), index), reports_.end());
}

// Nothing more happens: everybody who runs is told so.
void RunControl::report_end_of_run() {
  for (std::uint32_t i = 0; i < vcpus_.size(); ++i) {
    if (vcpus_[i].active) stop({i}, StopCause::HistoryEnd);
  }
}

}  // namespace ringside::debug
