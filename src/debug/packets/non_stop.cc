// QNonStop vStopped, and what vCont, ? and Ctrl-C are in non-stop mode (GDB manual, "Remote
// Non-Stop"): each vCPU is resumed and stopped by itself, and stops are notifications.
#include <algorithm>

#include "debug/packets/debugger.h"
#include "debug/packets/stops.h"

namespace ringside::debug {

using Mode = RunControl::Mode;

namespace {

template <typename... Requests>
bool is_one_of(const rsp::Request& request) {
  return (std::holds_alternative<Requests>(request) || ...);
}

// Somebody is to run on, so that breakpoints have to be where they are wanted.
bool runs_on(const rsp::ResumeThreads& request) {
  return std::any_of(request.actions.begin(), request.actions.end(), [](const auto& action) {
    return action.kind == rsp::ResumeKind::Continue || action.kind == rsp::ResumeKind::StepRange;
  });
}

}  // namespace

// A vCPU that the client has stopped can be looked at while others run. What changes memory, what
// looks for long, and what places breakpoints has them all out of the guest for a moment.
Debugger::When Debugger::when_non_stop(const rsp::Request& request, When needed) const {
  if (named_thread(request)) return When::Out;
  if (is_one_of<rsp::ReadRegisters, rsp::WriteRegisters, rsp::ReadRegister, rsp::WriteRegister,
                rsp::ReadMemory, rsp::DescribeMemory>(request)) {
    return target_.control().in_guest(session_.current) ? When::Out : When::Now;
  }
  if (const auto* resume = std::get_if<rsp::ResumeThreads>(&request))
    return runs_on(*resume) ? When::Out : When::Now;
  if (is_one_of<rsp::QueryStop>(request)) return When::Now;
  return is_one_of<rsp::SetNonStop>(request) ? When::Out : needed;
}

Debugger::Answer Debugger::serve(const rsp::SetNonStop& request) {
  // GDB asks for all-stop mode explicitly.
  if (looks()) {
    if (request.on) return refuse(Error(ErrorCode::Busy, std::string(kOnlyLooks)));
    return rsp::reply::ok();
  }
  const Mode mode = request.on ? Mode::NonStop : Mode::AllStop;
  if (session_.attached && target_.control().mode() != mode) {
    if (request.on && options_.time_travel != nullptr && options_.time_travel->in_past())
      return refuse(ErrorCode::NotSupported, "in the past the machine stops and runs as a whole");
    if (!target_.control().set_mode(mode)) return refuse(ErrorCode::Busy, "the guest is running");
  }
  session_.non_stop = request.on;
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::AcknowledgeStop&) {
  const std::optional<VcpuId> next =
      is_non_stop() ? target_.control().acknowledge_report() : std::nullopt;
  return next ? report_stop(*next) : rsp::reply::ok();
}

Debugger::Answer Debugger::resume_each(const rsp::ResumeThreads& request) {
  RunControl& control = target_.control();
  std::vector<Action> actions(target_.vm().vcpu_count());
  std::vector<VcpuId> stops;
  bool lets_die = false;
  for (std::uint32_t i = 0; i < actions.size(); ++i) {
    const rsp::ThreadAction* action = find_action(request, {i});
    if (action == nullptr) continue;
    if (action->kind == rsp::ResumeKind::Stop) {
      stops.push_back({i});
      continue;
    }
    actions[i] = action_of(*action);
    const StopEvent* event = control.event_of({i});
    lets_die |= control.held({i}) && event != nullptr && event->cause == StopCause::Dead;
  }
  if (runs_on(request)) keep_library_events();
  const Result<void> ready = target_.prepare_each(actions);
  if (!ready) return refuse(ready);
  target_.show_pc(session_.pc_view());
  // Who lets a dead vCPU go on has seen it.
  target_.vm().stop_instead_of_death(!lets_die);
  control.resume_each(actions);
  for (const VcpuId vcpu : stops)
    control.stop(vcpu, StopCause::Asked);
  return rsp::reply::ok();
}

void Debugger::interrupt() {
  RunControl& control = target_.control();
  if (!is_non_stop()) {
    control.interrupt();
    return;
  }
  // One is enough, and the one that the client looks at is the likeliest to be meant.
  const auto runs = [&](VcpuId id) { return target_.is_active(id.value) && !control.held(id); };
  VcpuId vcpu = session_.current;
  for (std::uint32_t i = 0; i < target_.vm().vcpu_count() && !runs(vcpu); ++i)
    vcpu = {i};
  if (runs(vcpu)) control.stop(vcpu, StopCause::Interrupted);
}

std::string Debugger::report_stop(VcpuId vcpu) {
  const StopEvent* event = target_.control().event_of(vcpu);
  const auto& died = options_.hooks.guest_died;
  if (died && is_death(event)) died(vcpu);
  // The client takes no text now.
  if (event != nullptr && has_words(event->cause) && options_.console)
    options_.console(target_.words_of(vcpu) + "\n");
  return stop_reply(vcpu);
}

}  // namespace ringside::debug
