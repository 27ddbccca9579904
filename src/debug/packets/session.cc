// qSupported QStartNoAckMode qAttached ! vAttach vRun R D k vKill.
#include "debug/client/changes.h"
#include "debug/packets/debugger.h"
#include "debug/packets/greeter.h"

namespace ringside::debug {

Debugger::Answer Debugger::serve(const rsp::QuerySupported& request) {
  session_.swbreak = request.announces("swbreak");
  session_.hwbreak = request.announces("hwbreak");
  session_.multiprocess = request.announces("multiprocess");
  session_.error_style =
      request.announces("error-message") ? rsp::ErrorStyle::Text : rsp::ErrorStyle::Number;

  return supported_features(request, abilities());
}

Abilities Debugger::abilities() const {
  return {.hardware_breakpoints = target_.stoppoints().supported(),
          .time_travel = options_.time_travel != nullptr,
          .disconnected_tracing = target_.can_keep_trace(),
          .libraries = options_.guest.libraries != nullptr,
          .os_data = options_.guest.os_data != nullptr,
          .vmcoreinfo = options_.guest.vmcoreinfo != nullptr};
}

Debugger::Answer Debugger::serve(const rsp::StartNoAckMode&) {
  session_.no_ack = true;
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::QueryAttached&) { return "1"; }

Debugger::Answer Debugger::serve(const rsp::ExtendedMode&) {
  session_.extended = !looks();
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::Attach& request) {
  if (looks() && !session_.attached) {
    session_.attached = true;
    return serve(rsp::QueryStop{});
  }
  if (looks()) return refuse(Error(ErrorCode::Busy, std::string(kOnlyLooks)));
  if (!session_.extended) return rsp::reply::empty();
  if (request.process != kProcess) {
    if (!session_.attached) let_go();
    return refuse(ErrorCode::NotFound, "the machine is process 1");
  }
  if (session_.attached) return refuse(ErrorCode::Busy, "process 1 is attached already");
  session_.attached = true;
  if (!enter_mode()) return stop_reply();
  target_.control().report_anew();
  return rsp::reply::ok();
}

// What the client has chosen before it had the machine.
bool Debugger::enter_mode() {
  return session_.non_stop && target_.control().set_mode(RunControl::Mode::NonStop);
}

Debugger::Answer Debugger::serve(const rsp::Run&) {
  if (!session_.extended || !options_.restart) return rsp::reply::empty();
  const Result<void> done = restart();
  return done ? stop_reply() : *refuse(done);
}

// What went wrong has no way to the client, which asks next why the guest has stopped.
Debugger::Answer Debugger::serve(const rsp::Restart&) {
  if (!session_.extended || !options_.restart) return rsp::reply::empty();
  const Result<void> done = restart();
  if (!done && options_.console) options_.console("R: " + std::string(done.error().text()) + "\n");
  return std::nullopt;
}

// The guest is stopped before its first instruction then.
Result<void> Debugger::restart() {
  if (!target_.control().stopped()) return fail(ErrorCode::Busy, "the guest is running");
  const Result<void> possible = may_change(options_);
  const Result<void> done = possible ? options_.restart() : possible;
  if (!done) {
    if (!session_.attached) let_go();
    return done;
  }
  target_.begin_again();
  forget_current();
  session_.attached = true;
  session_.dead = false;
  session_.signal = Session{}.signal;
  (void)enter_mode();
  return {};
}

Debugger::Answer Debugger::serve(const rsp::Detach&) {
  leave();
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::Kill&) {
  kill();
  // Whose connection goes on takes the next packet for the answer to its next request.
  if (!session_.over) return std::nullopt;
  return rsp::reply::empty();
}

Debugger::Answer Debugger::serve(const rsp::KillProcess&) {
  kill();
  return rsp::reply::ok();
}

void Debugger::kill() {
  if (options_.on_kill == OnKill::Stop && !looks()) {
    kill_requested_ = true;
    end_session();
  } else {
    leave();
  }
}

void Debugger::leave() {
  if (looks()) {
    session_.over = true;
  } else if (session_.extended) {
    let_go();
  } else {
    end_session();
  }
}

// The teardown of end_session(), with a client that stays. What was agreed with it holds; what it
// chose for the machine is gone. A machine that has died is kept stopped for a restart.
void Debugger::let_go() {
  Session next;
  next.swbreak = session_.swbreak;
  next.hwbreak = session_.hwbreak;
  next.multiprocess = session_.multiprocess;
  next.error_style = session_.error_style;
  next.full_registers = session_.full_registers;
  next.vcont = session_.vcont;
  next.no_ack = session_.no_ack;
  next.non_stop = session_.non_stop;
  next.lists_threads = session_.lists_threads;
  next.extended = true;
  next.attached = false;
  next.dead = session_.dead || has_died();
  session_ = next;
  scan_.reset();
  const bool present = return_to_present();
  // Not where the machine was led away from its death.
  if (options_.time_travel != nullptr) session_.dead = session_.dead && dead_vcpu();
  if (!present || session_.dead) {
    target_.control().renew();
  } else {
    target_.control().detach();
  }
}

}  // namespace ringside::debug
