// Z z.
#include "debug/packets/debugger.h"

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
  const bool software = request.type == rsp::BreakpointType::Software;
  if (!software && !target_.stoppoints().supported()) return rsp::reply::empty();
  if (!is_watch(request.type) && request.kind != 1)
    return refuse(ErrorCode::BadRequest, "a breakpoint's kind is 1");
  if (is_watch(request.type) && request.kind == 0)
    return refuse(ErrorCode::BadRequest, "a watchpoint has a length");

  // The client's addresses are those of another address space (monitor cr3).
  if (const auto cr3 = session_.addresses.cr3) {
    if (target_.spaces().full()) return refuse(ErrorCode::BadRequest, AddressSpaces::kFull);
    target_.spaces().bind(request.address, *cr3);
  }
  const AgentProgram program{request.conditions, request.commands, request.commands_persist};
  // A plain client expects the refusal of the model (docs/model.md, row 34).
  const auto unmapped =
      session_.names_threads() ? Target::Unmapped::Await : Target::Unmapped::Refuse;
  const Result<void> inserted =
      software ? target_.insert_breakpoint(session_.current, request.address, program, unmapped)
               : target_.insert_stoppoint(stoppoint_of(request.type, request.address, request.kind),
                                          program);
  if (inserted) return rsp::reply::ok();
  // The empty reply lets the client fall back on another kind. For a software breakpoint that would
  // be an int3 that it writes itself, as data, and that the guest would meet as its own.
  if (!software && inserted.error().code() == ErrorCode::NotSupported) return rsp::reply::empty();
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
  const Result<void> removed = target_.remove_stoppoint(stoppoint);
  if (!removed) return refuse(removed);
  return rsp::reply::ok();
}

}  // namespace ringside::debug
