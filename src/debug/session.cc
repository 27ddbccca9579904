// qSupported QStartNoAckMode qAttached D k vKill.
#include <fmt/core.h>

#include "debug/debugger.h"
#include "rsp/framing.h"

namespace ringside::debug {

Debugger::Answer Debugger::serve(const rsp::QuerySupported& request) {
  session_.swbreak = request.announces("swbreak");
  session_.hwbreak = request.announces("hwbreak");
  session_.multiprocess = request.announces("multiprocess");
  session_.error_style =
      request.announces("error-message") ? rsp::ErrorStyle::Text : rsp::ErrorStyle::Number;

  std::string reply = fmt::format("PacketSize={:x};swbreak+", rsp::kPacketSize);
  if (target_.stoppoints().supported()) reply += ";hwbreak+";
  reply +=
      ";QStartNoAckMode+;vContSupported+;qXfer:features:read+;qXfer:threads:read+;"
      "qXfer:memory-map:read+";
  reply += ";ConditionalBreakpoints+;BreakpointCommands+;binary-upload+";
  if (session_.multiprocess) reply += ";multiprocess+";
  return reply;
}

Debugger::Answer Debugger::serve(const rsp::StartNoAckMode&) {
  session_.no_ack = true;
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::QueryAttached&) { return "1"; }

Debugger::Answer Debugger::serve(const rsp::Detach&) {
  end_session();
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::Kill&) {
  kill();
  return rsp::reply::empty();
}

Debugger::Answer Debugger::serve(const rsp::KillProcess&) { return kill(); }

Debugger::Answer Debugger::kill() {
  kill_requested_ |= options_.on_kill == OnKill::Stop;
  end_session();
  return rsp::reply::ok();
}

}  // namespace ringside::debug
