#include "debug/packets/greeter.h"

#include <fmt/core.h>

#include "rsp/reply.h"

namespace ringside::debug {

void Greeter::on_bytes(std::span<const std::byte> bytes) {
  said_.input.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string_view input = said_.input;
  while (!said_.waiting) {
    const std::optional<rsp::Event> event = said_.link.receive(input);
    if (!event) break;
    // A Ctrl-C now asks for a stop that there is no need of: nothing runs.
    if (event->kind == rsp::Event::Kind::Packet) answer(rsp::parse(event->payload));
  }
  said_.input.erase(0, said_.input.size() - input.size());
}

void Greeter::answer(const rsp::Request& request) {
  if (const auto* supported = std::get_if<rsp::QuerySupported>(&request)) {
    said_.link.send(supported_features(*supported, abilities_));
    said_.answered.push_back(request);
  } else if (std::holds_alternative<rsp::StartNoAckMode>(request)) {
    said_.link.send(rsp::reply::ok());
    if (!said_.link.no_ack_mode()) said_.link.start_no_ack_mode();
    said_.answered.push_back(request);
  } else if (std::holds_alternative<rsp::Unknown>(request)) {
    said_.link.send(rsp::reply::empty());
  } else {
    said_.waiting = request;
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
