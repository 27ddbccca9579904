#include "debug/packets/greeter.h"

#include <fmt/core.h>

#include "rsp/reply.h"

namespace ringside::debug {

void Greeter::on_bytes(std::span<const std::byte> bytes) {
  input_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string_view input = input_;
  while (!waiting_) {
    const std::optional<rsp::Event> event = link_.receive(input);
    if (!event) break;
    // A Ctrl-C now asks for a stop that there is no need of: nothing runs.
    if (event->kind == rsp::Event::Kind::Packet) answer(rsp::parse(event->payload));
  }
  input_.erase(0, input_.size() - input.size());
}

void Greeter::answer(const rsp::Request& request) {
  if (const auto* supported = std::get_if<rsp::QuerySupported>(&request)) {
    link_.send(supported_features(*supported, abilities_));
    answered_.push_back(request);
  } else if (std::holds_alternative<rsp::StartNoAckMode>(request)) {
    link_.send(rsp::reply::ok());
    if (!link_.no_ack_mode()) link_.start_no_ack_mode();
    answered_.push_back(request);
  } else if (std::holds_alternative<rsp::Unknown>(request)) {
    link_.send(rsp::reply::empty());
  } else {
    waiting_ = request;
  }
}

std::string supported_features(const rsp::QuerySupported& request, const Abilities& abilities) {
  std::string reply = fmt::format("PacketSize={:x};swbreak+", rsp::kPacketSize);
  if (abilities.hardware_breakpoints) reply += ";hwbreak+";
  reply +=
      ";QStartNoAckMode+;QNonStop+;vContSupported+;qXfer:features:read+;qXfer:threads:read+;"
      "qXfer:memory-map:read+";
  reply +=
      ";ConditionalBreakpoints+;BreakpointCommands+;binary-upload+;MultiMemRead+;jMultiBreakpoint+";
  reply +=
      ";ConditionalTracepoints+;TracepointSource+;EnableDisableTracepoints+;FastTracepoints+;"
      "tracenz+;QTBuffer:size+;qXfer:traceframe-info:read+";
  if (abilities.disconnected_tracing) reply += ";DisconnectedTracing+";
  if (abilities.time_travel) reply += ";ReverseStep+;ReverseContinue+";
  if (abilities.libraries) reply += ";qXfer:libraries:read+";
  if (abilities.os_data) reply += ";qXfer:osdata:read+";
  if (abilities.vmcoreinfo) reply += ";qXfer:vmcoreinfo:read+";
  if (request.announces("multiprocess")) reply += ";multiprocess+";
  return reply;
}

}  // namespace ringside::debug
