// QT… qT…: what a client defines, starts and asks. What a selected frame answers is in
// trace_frames.cc.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file_kind.h"
#include "base/hex.h"
#include "debug/packets/debugger.h"
#include "rsp/framing.h"

namespace ringside::debug {
namespace {

using trace::Tracing;

trace::Action action_of(const rsp::TraceAction& action) {
  trace::Action result;
  switch (action.kind) {
    case rsp::TraceAction::Kind::Registers:
      result.kind = trace::Action::Kind::Registers;
      break;
    case rsp::TraceAction::Kind::Memory:
      result.kind = trace::Action::Kind::Memory;
      break;
    case rsp::TraceAction::Kind::Expression:
      result.kind = trace::Action::Kind::Expression;
      break;
  }
  result.base = action.base;
  result.offset = action.offset;
  result.length = action.length;
  result.code = action.code;
  return result;
}

std::string text_of(const trace::Action& action) {
  switch (action.kind) {
    case trace::Action::Kind::Registers:
      // Which ones the client has asked for is not kept: all of them are recorded.
      return "Rffffffffffffffff";
    case trace::Action::Kind::Memory:
      return fmt::format("M{},{:x},{:x}", action.base ? fmt::format("{:x}", *action.base) : "-1",
                         action.offset, action.length);
    case trace::Action::Kind::Expression:
      break;
  }
  return fmt::format("X{:x},{}", action.code.size(), to_hex(action.code));
}

// What qTfP and qTsP tell of one tracepoint, in as many packets. The form is that of QTDP with T,
// A, S or Z before it.
std::vector<std::string> pieces_of(const trace::Tracepoint& tracepoint) {
  const std::string place = fmt::format("{:x}:{:x}:", tracepoint.number, tracepoint.address.value);
  std::vector<std::string> pieces;
  std::string first = fmt::format("T{}{}:{:x}:{:x}", place, tracepoint.enabled ? 'E' : 'D',
                                  tracepoint.steps, tracepoint.pass);
  if (tracepoint.fast_length) first += fmt::format(":F{:x}", *tracepoint.fast_length);
  if (tracepoint.condition) {
    first += fmt::format(":X{:x},{}", tracepoint.condition->size(), to_hex(*tracepoint.condition));
  }
  pieces.push_back(std::move(first));
  for (const trace::Action& action : tracepoint.actions)
    pieces.push_back('A' + place + text_of(action));
  for (const trace::Action& action : tracepoint.step_actions)
    pieces.push_back('S' + place + text_of(action));
  for (const trace::Source& source : tracepoint.sources) {
    pieces.push_back(fmt::format("Z{}{}:{:x}:{:x}:{}", place, source.type, source.start,
                                 source.total, rsp::reply::hex(source.text)));
  }
  return pieces;
}

std::string text_of(const trace::Variable& variable) {
  return fmt::format("{:x}:{:x}:{:d}:{}", variable.number,
                     static_cast<std::uint64_t>(variable.initial), variable.builtin,
                     rsp::reply::hex(variable.name));
}

// GDB manual, "Tracepoint Packets", qTStatus.
std::string why_of(const Tracing::Status& status) {
  using Why = Tracing::Status::Why;
  switch (status.why) {
    case Why::NeverRan:
      return "tnotrun:0";
    case Why::Stopped:
      return fmt::format("tstop:{}:0", rsp::reply::hex(status.text));
    case Why::Full:
      return "tfull:0";
    case Why::PassCount:
      return fmt::format("tpasscount:{:x}", status.tracepoint);
    case Why::Error:
      break;
  }
  return fmt::format("terror:{}:{:x}", rsp::reply::hex(status.text), status.tracepoint);
}

std::string status_of(const Tracing& tracing, bool keeps) {
  const trace::TraceBuffer& buffer = tracing.buffer();
  std::string text = tracing.running() ? "1" : "0;" + why_of(tracing.status());
  text +=
      fmt::format(";tframes:{:x};tcreated:{:x};tfree:{:x};tsize:{:x};circular:{:d};disconn:{:d}",
                  buffer.count(), buffer.created(), buffer.capacity() - buffer.used(),
                  buffer.capacity(), tracing.drops_oldest(), keeps);
  if (!tracing.notes().user.empty()) text += ";username:" + rsp::reply::hex(tracing.notes().user);
  if (!tracing.notes().notes.empty()) text += ";notes:" + rsp::reply::hex(tracing.notes().notes);
  return text;
}

}  // namespace

Debugger::Answer Debugger::done(const Result<void>& result) const {
  return result ? rsp::reply::ok() : *refuse(result);
}

// --- What is defined

Debugger::Answer Debugger::serve(const rsp::ClearTracepoints&) {
  target_.clear_trace();
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::DefineTracepoint& request) {
  if (request.kind == rsp::DefineTracepoint::Kind::Static) {
    return refuse(ErrorCode::NotSupported,
                  "static tracepoints are markers in a program; there are none in a machine");
  }
  trace::Tracepoint tracepoint;
  tracepoint.number = request.number;
  tracepoint.address = request.address;
  tracepoint.enabled = request.enabled;
  tracepoint.steps = request.steps;
  tracepoint.pass = request.pass;
  if (request.kind == rsp::DefineTracepoint::Kind::Fast)
    tracepoint.fast_length = request.fast_length;
  tracepoint.condition = request.condition;
  if (request.steps > 0 && !target_.can_step(session_.current))
    return refuse(ErrorCode::NotSupported, "this host cannot step");
  return done(target_.tracing().define(std::move(tracepoint)));
}

Debugger::Answer Debugger::serve(const rsp::AddTraceActions& request) {
  std::vector<trace::Action> actions;
  actions.reserve(request.actions.size());
  for (const rsp::TraceAction& action : request.actions)
    actions.push_back(action_of(action));
  return done(target_.tracing().add_actions(request.number, request.address, request.while_stepping,
                                            std::move(actions)));
}

Debugger::Answer Debugger::serve(const rsp::AddTraceSource& request) {
  return done(target_.tracing().add_source(
      request.number, request.address, {request.type, request.start, request.total, request.text}));
}

Debugger::Answer Debugger::serve(const rsp::DefineTraceVariable& request) {
  return done(target_.tracing().define_variable(
      {request.number, request.value, request.builtin, request.name, 0}));
}

Debugger::Answer Debugger::serve(const rsp::EnableTracepoint& request) {
  return done(target_.tracing().enable(request.number, request.address, request.enable));
}

Debugger::Answer Debugger::serve(const rsp::SetReadOnlyMemory& request) {
  std::vector<Tracing::Range> ranges;
  ranges.reserve(request.ranges.size());
  for (const auto& range : request.ranges)
    ranges.push_back({range.start, range.end});
  return done(target_.tracing().set_read_only(std::move(ranges)));
}

Debugger::Answer Debugger::serve(const rsp::SetTraceRing& request) {
  return done(target_.tracing().set_ring(request.circular));
}

Debugger::Answer Debugger::serve(const rsp::SetTraceSize& request) {
  return done(target_.tracing().set_size(request.size));
}

Debugger::Answer Debugger::serve(const rsp::SetTraceNotes& request) {
  Tracing::Notes notes = target_.tracing().notes();
  if (request.user) notes.user = *request.user;
  if (request.notes) notes.notes = *request.notes;
  if (request.stop) notes.stop = *request.stop;
  return done(target_.tracing().set_notes(std::move(notes)));
}

Debugger::Answer Debugger::serve(const rsp::SetDisconnectedTracing& request) {
  return done(target_.keep_trace(request.on));
}

// They replace no instruction, so that any length will do.
Debugger::Answer Debugger::serve(const rsp::QueryFastTracepoints&) { return "1"; }

// --- The trace

Debugger::Answer Debugger::serve(const rsp::StartTrace&) {
  session_.frame.reset();
  return done(target_.start_trace(session_.current, session_.pc_view()));
}

Debugger::Answer Debugger::serve(const rsp::StopTrace&) {
  target_.stop_trace();
  return rsp::reply::ok();
}

Debugger::Answer Debugger::serve(const rsp::QueryTrace&) {
  return 'T' + status_of(target_.tracing(), target_.keeps_trace());
}

Debugger::Answer Debugger::serve(const rsp::QueryTracepoint& request) {
  const trace::Tracepoint* const found = target_.tracing().find(request.number, request.address);
  if (found == nullptr) return refuse(ErrorCode::NotFound, "there is no such tracepoint");
  return fmt::format("V{:x}:{:x}", found->hits, found->usage);
}

Debugger::Answer Debugger::serve(const rsp::FirstTracepoints&) {
  session_.told_tracepoints = 0;
  return serve(rsp::MoreTracepoints{});
}

Debugger::Answer Debugger::serve(const rsp::MoreTracepoints&) {
  std::size_t skip = session_.told_tracepoints++;
  for (const trace::Tracepoint& tracepoint : target_.tracing().tracepoints()) {
    const std::size_t count =
        1 + tracepoint.actions.size() + tracepoint.step_actions.size() + tracepoint.sources.size();
    if (skip < count) return pieces_of(tracepoint)[skip];
    skip -= count;
  }
  return "l";
}

Debugger::Answer Debugger::serve(const rsp::FirstTraceVariables&) {
  session_.told_variables = 0;
  return serve(rsp::MoreTraceVariables{});
}

Debugger::Answer Debugger::serve(const rsp::MoreTraceVariables&) {
  const auto& variables = target_.tracing().variables();
  if (session_.told_variables >= variables.size()) return "l";
  const auto next =
      std::next(variables.begin(), static_cast<std::ptrdiff_t>(session_.told_variables++));
  return text_of(next->second);
}

// --- What was recorded

Debugger::Answer Debugger::serve(const rsp::ReadTraceBuffer& request) {
  constexpr std::uint64_t kLongest = rsp::kPacketSize / 2;
  const std::vector<std::byte> bytes =
      target_.tracing().buffer().read(request.offset, std::min(request.length, kLongest));
  return bytes.empty() ? "l" : rsp::reply::hex(bytes);
}

// Up to the empty line (GDB manual, "Trace File Format").
std::string Debugger::trace_file_head() const {
  const Tracing& tracing = target_.tracing();
  std::string text(beginning_of(FileKind::Trace));
  text += fmt::format("R {:x}\n", tracing.registers());
  text += "status " + status_of(tracing, target_.keeps_trace()) + '\n';
  for (const auto& [number, variable] : tracing.variables())
    text += "tsv " + text_of(variable) + '\n';
  // The last one first, as GDB writes them: it numbers what it reads from the end.
  const std::vector<trace::Tracepoint>& tracepoints = tracing.tracepoints();
  for (auto it = tracepoints.rbegin(); it != tracepoints.rend(); ++it) {
    for (const std::string& piece : pieces_of(*it))
      text += "tp " + piece + '\n';
  }
  std::string_view description = description_;
  while (!description.empty()) {
    const std::size_t end = std::min(description.find('\n'), description.size());
    text += fmt::format("tdesc {}\n", description.substr(0, end));
    description.remove_prefix(std::min(end + 1, description.size()));
  }
  return text + '\n';
}

Debugger::Answer Debugger::serve(const rsp::SaveTrace& request) {
  if (!options_.save_trace)
    return refuse(ErrorCode::NotSupported, "no files are made here; use tsave without -r");
  target_xml();
  const std::string head = trace_file_head();
  const trace::TraceBuffer& buffer = target_.tracing().buffer();
  // Where the next frame's number would be, its number is 0.
  const std::uint64_t frames_end = head.size() + buffer.used();
  const auto read = [&](std::uint64_t offset) -> std::vector<std::byte> {
    if (offset < head.size()) {
      const auto bytes = std::as_bytes(std::span(head)).subspan(offset);
      return {bytes.begin(), bytes.end()};
    }
    if (offset < frames_end) return buffer.read(offset - head.size(), std::uint64_t{1} << 20);
    return std::vector<std::byte>(offset < frames_end + 2 ? frames_end + 2 - offset : 0);
  };
  return done(options_.save_trace(request.name, read));
}

}  // namespace ringside::debug
