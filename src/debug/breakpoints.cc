// Z z.
#include "debug/debugger.h"

namespace ringside::debug {
namespace {

Stoppoint stoppoint_of(rsp::BreakpointType type, Gva address, std::uint64_t kind) {
  switch (type) {
    case rsp::BreakpointType::ReadWatch:
      return {StopCause::Watchpoint, address, kind, hypervisor::WatchKind::Read};
    case rsp::BreakpointType::AccessWatch:
      return {StopCause::Watchpoint, address, kind, hypervisor::WatchKind::Access};
    case rsp::BreakpointType::WriteWatch:
      return {StopCause::Watchpoint, address, kind, hypervisor::WatchKind::Write};
    case rsp::BreakpointType::Software:
    case rsp::BreakpointType::Hardware:
      break;
  }
  return {StopCause::HardwareBreakpoint, address, 1, hypervisor::WatchKind::Write};
}

bool is_watch(rsp::BreakpointType type) {
  return type != rsp::BreakpointType::Software && type != rsp::BreakpointType::Hardware;
}

}  // namespace

Debugger::Answer Debugger::serve(const rsp::InsertBreakpoint& request) {
  // Not advertised; a breakpoint that stops although its condition is false would be worse than
  // none.
  if (!request.conditions.empty() || !request.commands.empty()) return rsp::reply::empty();
  const bool software = request.type == rsp::BreakpointType::Software;
  if (!software && !target_.stoppoints().supported()) return rsp::reply::empty();
  if (!is_watch(request.type) && request.kind != 1)
    return refuse(ErrorCode::BadRequest, "a breakpoint's kind is 1");
  if (is_watch(request.type) && request.kind == 0)
    return refuse(ErrorCode::BadRequest, "a watchpoint has a length");

  Result<void> inserted;
  if (software) {
    inserted = target_.insert_breakpoint(session_.current, request.address);
  } else {
    const Stoppoint stoppoint = stoppoint_of(request.type, request.address, request.kind);
    inserted = target_.stoppoints().insert(stoppoint);
    if (inserted) target_.control().inserted(stoppoint.key());
  }
  if (inserted) return rsp::reply::ok();
  // The empty reply lets the client fall back on another kind.
  if (inserted.error().code() == ErrorCode::NotSupported) return rsp::reply::empty();
  return refuse(inserted);
}

Debugger::Answer Debugger::serve(const rsp::RemoveBreakpoint& request) {
  const bool software = request.type == rsp::BreakpointType::Software;
  if (!software && !target_.stoppoints().supported()) return rsp::reply::empty();
  if (!is_watch(request.type) && request.kind != 1)
    return refuse(ErrorCode::BadRequest, "a breakpoint's kind is 1");
  if (software) {
    target_.remove_breakpoint(request.address);
    return rsp::reply::ok();
  }
  const Stoppoint stoppoint = stoppoint_of(request.type, request.address, request.kind);
  const Result<void> removed = target_.stoppoints().remove(stoppoint);
  if (!removed) return refuse(removed);
  target_.control().removed(stoppoint.key());
  return rsp::reply::ok();
}

}  // namespace ringside::debug
