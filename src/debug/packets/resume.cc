// ? c C s S vCont vCont? vCtrlC, and the stop reports.
#include <fmt/core.h>

#include <algorithm>

#include "debug/packets/debugger.h"
#include "debug/packets/stops.h"
#include "x86/register_table.h"

namespace ringside::debug {
namespace {

constexpr std::uint8_t kNoSignal = 0, kSigint = 2, kSigtrap = 5, kSigabrt = 6;
constexpr Action kRun{Action::Kind::Run, {}, false};

}  // namespace

// W00 is how an extended session is told that it has no process.
Debugger::Answer Debugger::serve(const rsp::QueryStop&) {
  if (!session_.attached) return "W00";
  // To a client that looks, a machine that runs seems stopped: it has no other way to read. It
  // hears no reason: GDB takes the error to a later `c` for another stop of the same reason, and
  // where that is a breakpoint it does not know of, sends `c` again, for ever.
  if (looks()) {
    rsp::StopReply reply(kSigtrap);
    reply.thread(process(), target_.control().stopped_vcpu().value_or(session_.current).value + 1u);
    add_threads(reply);
    return reply.str();
  }
  if (is_non_stop()) {
    const std::optional<VcpuId> first = target_.control().report_again();
    return first ? stop_reply(*first) : rsp::reply::ok();
  }
  session_.reported = target_.control().stopped_vcpu().value_or(session_.current);
  return stop_reply();
}

Debugger::Answer Debugger::serve(const rsp::Resume& request) {
  if (request.address)
    return refuse(ErrorCode::BadRequest, "resuming elsewhere is not possible; set rip instead");
  if (is_non_stop())
    return refuse(ErrorCode::BadRequest, "in non-stop mode threads are resumed by vCont");
  ResumePlan plan;
  if (request.kind == rsp::ResumeKind::Step) {
    plan.actions.resize(target_.vm().vcpu_count());
    plan.actions[session_.resumed.value_or(session_.current).value].kind = Action::Kind::Step;
  } else {
    plan.others = kRun;
  }
  return resume(std::move(plan));
}

bool Debugger::applies(const rsp::ThreadAction& action, VcpuId vcpu) const {
  if (!action.thread) return true;
  const rsp::ThreadId& id = *action.thread;
  if (id.process && id.process->is_number() && id.process->number() != kProcess) return false;
  if (id.thread.is_number()) return id.thread.number() == vcpu.value + 1u;
  return id.thread.is_all() || vcpu == session_.current;
}

// The leftmost action that names the thread counts; a thread without one stays as it is.
const rsp::ThreadAction* Debugger::find_action(const rsp::ResumeThreads& request,
                                               VcpuId vcpu) const {
  for (const rsp::ThreadAction& action : request.actions) {
    if (applies(action, vcpu)) return &action;
  }
  return nullptr;
}

Debugger::Answer Debugger::serve(const rsp::ResumeThreads& request) {
  if (is_non_stop()) return resume_each(request);
  ResumePlan plan;
  plan.actions.resize(target_.vm().vcpu_count());
  bool somebody_goes = false;
  for (std::uint32_t i = 0; i < plan.actions.size(); ++i) {
    const rsp::ThreadAction* action = find_action(request, {i});
    if (action != nullptr) plan.actions[i] = action_of(*action);
    somebody_goes |= target_.is_active(i) && plan.actions[i].kind != Action::Kind::Hold;
  }
  // Who wants everybody stopped has that.
  if (only_stops(request)) {
    if (target_.control().phase() != RunControl::Phase::Stopped)
      return refuse(ErrorCode::Busy, "the guest is running");
    rsp::StopReply reply(kNoSignal);
    reply.thread(process(), session_.current.value + 1u);
    return reply.str();
  }
  // Nothing would ever stop, so nothing would ever be answered.
  if (!somebody_goes) return refuse(ErrorCode::BadRequest, "no thread would run");
  for (const rsp::ThreadAction& action : request.actions) {
    const bool everybody = !action.thread || action.thread->thread.is_all();
    if (everybody && action.kind == rsp::ResumeKind::Continue) plan.others = kRun;
    if (everybody) break;
  }
  return resume(std::move(plan));
}

Debugger::Answer Debugger::serve(const rsp::QueryResumeActions&) {
  session_.vcont = true;
  return std::string(kResumeActions);
}

Debugger::Answer Debugger::serve(const rsp::Interrupt&) {
  interrupt();
  return rsp::reply::ok();
}

Debugger::Answer Debugger::resume(ResumePlan plan) {
  const bool stopped = target_.control().phase() == RunControl::Phase::Stopped;
  if (stopped && options_.time_travel != nullptr && options_.time_travel->in_past())
    return travel_forward(std::move(plan));
  const Result<void> running = run_on(plan);
  if (!running) return refuse(running);
  return std::nullopt;
}

Result<void> Debugger::run_on(ResumePlan& plan) {
  keep_library_events();
  TRY(target_.prepare_resume(plan));
  target_.show_pc(session_.pc_view());
  // A stop instead of a death is for clients that can say so: to a plain one the machine just ends,
  // as in the model. Who lets a dead vCPU go on has seen it.
  target_.vm().stop_instead_of_death(session_.names_threads() && !has_died());
  session_.dead = false;
  target_.control().resume(plan);
  return {};
}

bool Debugger::has_died() const {
  if (is_non_stop()) {
    for (std::uint32_t i = 0; i < target_.vm().vcpu_count(); ++i) {
      const StopEvent* event =
          target_.control().held({i}) ? target_.control().event_of({i}) : nullptr;
      if (event != nullptr && event->cause == StopCause::Dead) return true;
    }
    return false;
  }
  const auto stopped = target_.control().stopped_vcpu();
  const StopEvent* event = stopped ? target_.control().event_of(*stopped) : nullptr;
  return event != nullptr && event->cause == StopCause::Dead;
}

std::vector<std::string> Debugger::report_stop() {
  std::vector<std::string> packets;
  if (const auto vcpu = target_.control().stopped_vcpu()) {
    session_.current = *vcpu;
    session_.resumed.reset();
    const StopEvent* event = target_.control().event_of(*vcpu);
    const auto& died = options_.hooks.guest_died;
    if (died && is_death(event)) died(*vcpu);
    if (event != nullptr && has_words(event->cause))
      packets.push_back(rsp::reply::console_output(target_.words_of(*vcpu) + "\n"));
  } else {
    // The model knows only signal 5. A client that speaks of threads gets what Ctrl-C is.
    session_.signal = session_.names_threads() ? kSigint : kSigtrap;
  }
  session_.reported = session_.current;
  packets.push_back(stop_reply());
  return packets;
}

// W for an end of the guest's own making, X for one that it died of, which is the signal of the
// stop that vCont's clients had before it.
std::vector<std::string> Debugger::report_end(const hypervisor::VmEnd& end) const {
  using Kind = hypervisor::VmEnd::Kind;
  if (end.kind != Kind::TripleFault && end.kind != Kind::Error)
    return {exit_reply(end.exit_status())};
  std::vector<std::string> packets;
  if (!end.reason.empty()) packets.push_back(rsp::reply::console_output(end.reason + "\n"));
  packets.push_back(rsp::reply::killed(kSigabrt, process()));
  return packets;
}

std::string Debugger::exit_reply(int status) const {
  return rsp::reply::exited(static_cast<std::uint8_t>(status), process());
}

// What GDB asks for next: where the vCPU is, and its frame. For clients that know the description.
void Debugger::expedite(rsp::StopReply& reply, VcpuId vcpu) const {
  if (!session_.full_registers) return;
  if (target_.vm().vcpu(vcpu).in_guest()) return;
  for (const x86::Register r : {x86::Register::Rbp, x86::Register::Rsp, x86::Register::Rip}) {
    const Result<x86::RegisterValue> value = show_register(vcpu, r);
    if (!value) continue;
    const auto bytes = std::as_bytes(std::span(value->bytes)).first(x86::info(r).size());
    // LLDB takes a number of two digits for a register, and no other.
    if (session_.lists_threads) {
      reply.pair(fmt::format("{:02x}", static_cast<unsigned>(r)), rsp::reply::hex(bytes));
    } else {
      reply.register_value(static_cast<std::uint64_t>(r), bytes);
    }
  }
}

std::string Debugger::stop_reply() const {
  const auto vcpu = target_.control().stopped_vcpu();
  if (!vcpu) {
    if (!session_.names_threads()) return "S05";
    return stop_reply(session_.current, session_.signal, nullptr);
  }
  return stop_reply(*vcpu);
}

std::uint8_t Debugger::signal_of(const StopEvent* event) const {
  if (event == nullptr) return is_non_stop() ? kNoSignal : kSigtrap;
  if (event->cause == StopCause::Asked) return kNoSignal;
  if (event->cause == StopCause::Interrupted) return kSigint;
  return is_death(event) ? kSigabrt : kSigtrap;
}

std::string Debugger::stop_reply(VcpuId vcpu) const {
  const StopEvent* event = target_.control().event_of(vcpu);
  return stop_reply(vcpu, signal_of(event), event);
}

std::string Debugger::stop_reply(VcpuId vcpu, std::uint8_t signal, const StopEvent* event) const {
  rsp::StopReply reply(signal);
  reply.thread(process(), vcpu.value + 1u);
  expedite(reply, vcpu);
  add_threads(reply);
  if (event == nullptr) return reply.str();
  add_reason(reply, vcpu, *event);
  switch (event->cause) {
    case StopCause::Breakpoint:
    case StopCause::LinearBreakpoint:
      if (is_library_event(*event)) {
        reply.library();
      } else if (session_.swbreak) {
        reply.swbreak();
      }
      break;
    case StopCause::HardwareBreakpoint:
      if (session_.hwbreak) reply.hwbreak();
      break;
    case StopCause::Watchpoint:
      switch (event->watch) {
        case hypervisor::WatchKind::Write:
          reply.watch(Gva{event->address});
          break;
        case hypervisor::WatchKind::Read:
          reply.read_watch(Gva{event->address});
          break;
        case hypervisor::WatchKind::Access:
          reply.access_watch(Gva{event->address});
          break;
      }
      break;
    case StopCause::HistoryBegin:
      reply.replay_begin().description("the past that is kept begins here");
      break;
    case StopCause::HistoryEnd:
      reply.replay_end().description("the recorded run ends here");
      break;
    case StopCause::PhysicalWatchpoint:  // the client knows of none; the words are the reason
    case StopCause::Caught:              // nor of this
    case StopCause::Step:
    case StopCause::GuestPanic:
    case StopCause::Dead:
    case StopCause::Asked:
    case StopCause::Interrupted:
      break;
  }
  return reply.str();
}

}  // namespace ringside::debug
