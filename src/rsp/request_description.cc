#include "rsp/request_description.h"

#include <fmt/format.h>

#include "base/hex.h"

namespace ringside::rsp {
namespace {

std::string text_of(const Id& id) {
  if (id.is_any()) return "any";
  if (id.is_all()) return "all";
  return fmt::format("{:x}", id.number());
}

std::string text_of(const ThreadId& id) {
  if (!id.process) return text_of(id.thread);
  return fmt::format("p{}.{}", text_of(*id.process), text_of(id.thread));
}

std::string_view text_of(ResumeKind kind) {
  switch (kind) {
    case ResumeKind::Continue:
      return "continue";
    case ResumeKind::Step:
      return "step";
    case ResumeKind::StepRange:
      return "range";
    case ResumeKind::Stop:
      return "stop";
  }
  return "";
}

std::string_view text_of(BreakpointType type) {
  switch (type) {
    case BreakpointType::Software:
      return "software";
    case BreakpointType::Hardware:
      return "hardware";
    case BreakpointType::WriteWatch:
      return "write";
    case BreakpointType::ReadWatch:
      return "read";
    case BreakpointType::AccessWatch:
      return "access";
  }
  return "";
}

std::string signal_text(std::optional<std::uint8_t> signal) {
  return signal ? fmt::format(" signal {}", *signal) : std::string();
}

std::string text_of(const ThreadAction& action) {
  std::string text{text_of(action.kind)};
  if (action.kind == ResumeKind::StepRange) {
    text += fmt::format(" {:x} {:x}", action.range_start.value, action.range_end.value);
  }
  text += signal_text(action.signal);
  if (action.thread) text += " thread " + text_of(*action.thread);
  return text;
}

std::string text_of(const Feature& feature) {
  switch (feature.support) {
    case Support::Yes:
      return feature.name + '+';
    case Support::No:
      return feature.name + '-';
    case Support::Maybe:
      return feature.name + '?';
    case Support::Value:
      break;
  }
  return feature.name + '=' + feature.value;
}

std::string text_of(const TraceAction& action) {
  switch (action.kind) {
    case TraceAction::Kind::Registers:
      return "registers";
    case TraceAction::Kind::Memory:
      return fmt::format("memory {}{:x} {:x}",
                         action.base ? fmt::format("register {:x} + ", *action.base) : "",
                         action.offset, action.length);
    case TraceAction::Kind::Expression:
      break;
  }
  return "expression " + to_hex(action.code);
}

std::string thread_text(const std::optional<ThreadId>& thread) {
  return thread ? " thread " + text_of(*thread) : std::string();
}

struct Describe {
  std::string operator()(const Unknown&) const { return "unknown"; }
  std::string operator()(const Malformed& r) const {
    return fmt::format("malformed: {}", r.reason);
  }

  std::string operator()(const ReadRegisters& r) const {
    return "read registers" + thread_text(r.thread);
  }
  std::string operator()(const WriteRegisters& r) const {
    return "write registers " + to_hex(r.data) + thread_text(r.thread);
  }
  std::string operator()(const ReadRegister& r) const {
    return fmt::format("read register {:x}{}", r.number, thread_text(r.thread));
  }
  std::string operator()(const WriteRegister& r) const {
    return fmt::format("write register {:x} {}{}", r.number, to_hex(r.data), thread_text(r.thread));
  }

  std::string operator()(const ReadMemory& r) const {
    return fmt::format("read memory {:x} {:x}{}", r.address.value, r.length,
                       r.encoding == MemoryEncoding::Binary ? " binary" : "");
  }
  std::string operator()(const WriteMemory& r) const {
    return fmt::format("write memory {:x} {}", r.address.value, to_hex(r.data));
  }
  std::string operator()(const SearchMemory& r) const {
    return fmt::format("search memory {:x} {:x} {}", r.address.value, r.length, to_hex(r.pattern));
  }
  std::string operator()(const ChecksumMemory& r) const {
    return fmt::format("checksum memory {:x} {:x}", r.address.value, r.length);
  }
  std::string operator()(const DescribeMemory& r) const {
    return fmt::format("describe memory {:x}", r.address.value);
  }

  std::string operator()(const QueryStop&) const { return "query stop"; }
  std::string operator()(const Resume& r) const {
    return fmt::format("resume {}{}{}", text_of(r.kind), signal_text(r.signal),
                       r.address ? fmt::format(" at {:x}", r.address->value) : std::string());
  }
  std::string operator()(const ResumeThreads& r) const {
    std::string text = "resume threads";
    for (const ThreadAction& action : r.actions)
      text += " {" + text_of(action) + "}";
    return text;
  }
  std::string operator()(const QueryResumeActions&) const { return "query resume actions"; }
  std::string operator()(const ResumeBackward& r) const {
    return fmt::format("resume backward {}", text_of(r.kind));
  }
  std::string operator()(const Interrupt&) const { return "interrupt"; }
  std::string operator()(const SetNonStop& r) const {
    return fmt::format("set non-stop {:d}", r.on);
  }
  std::string operator()(const AcknowledgeStop&) const { return "acknowledge stop"; }

  std::string operator()(const InsertBreakpoint& r) const {
    std::string text = fmt::format("insert {} {:x} {:x}", text_of(r.type), r.address.value, r.kind);
    for (const Bytes& condition : r.conditions)
      text += " if " + to_hex(condition);
    for (const Bytes& command : r.commands)
      text += " do " + to_hex(command);
    if (r.commands_persist) text += " persistent";
    return text;
  }
  std::string operator()(const RemoveBreakpoint& r) const {
    return fmt::format("remove {} {:x} {:x}", text_of(r.type), r.address.value, r.kind);
  }

  std::string operator()(const SelectThread& r) const {
    return fmt::format("select {} {}", r.use == ThreadUse::General ? "general" : "resume",
                       text_of(r.thread));
  }
  std::string operator()(const IsThreadAlive& r) const { return "is alive " + text_of(r.thread); }
  std::string operator()(const CurrentThread&) const { return "current thread"; }
  std::string operator()(const FirstThreads&) const { return "first threads"; }
  std::string operator()(const MoreThreads&) const { return "more threads"; }
  std::string operator()(const ThreadDescription& r) const {
    return "describe thread " + text_of(r.thread);
  }

  std::string operator()(const QuerySupported& r) const {
    std::string text = "supported";
    for (const Feature& feature : r.features)
      text += ' ' + text_of(feature);
    return text;
  }
  std::string operator()(const StartNoAckMode&) const { return "start no-ack mode"; }
  std::string operator()(const QueryHost&) const { return "query host"; }
  std::string operator()(const QueryAttached&) const { return "attached"; }
  std::string operator()(const ExtendedMode&) const { return "extended mode"; }
  std::string operator()(const Attach& r) const { return fmt::format("attach {:x}", r.process); }
  std::string operator()(const Run&) const { return "run"; }
  std::string operator()(const Restart&) const { return "restart"; }
  std::string operator()(const Detach& r) const {
    return r.process ? fmt::format("detach {:x}", *r.process) : "detach";
  }
  std::string operator()(const Kill&) const { return "kill"; }
  std::string operator()(const KillProcess& r) const {
    return fmt::format("kill process {:x}", r.process);
  }

  std::string operator()(const ReadTransfer& r) const {
    return fmt::format("transfer {} {} {:x} {:x}", r.object, r.annex, r.offset, r.length);
  }
  std::string operator()(const QueryOffsets&) const { return "query offsets"; }
  std::string operator()(const Monitor& r) const { return "monitor " + r.command; }

  std::string operator()(const QueryPhysicalMode&) const { return "query physical mode"; }
  std::string operator()(const SetPhysicalMode& r) const {
    return fmt::format("set physical mode {:d}", r.physical);
  }
  std::string operator()(const QueryStepBits&) const { return "query step bits"; }
  std::string operator()(const QueryStepMask&) const { return "query step mask"; }
  std::string operator()(const SetStepMask& r) const {
    return fmt::format("set step mask {:x}", r.mask);
  }

  std::string operator()(const ClearTracepoints&) const { return "clear tracepoints"; }
  std::string operator()(const DefineTracepoint& r) const {
    std::string text =
        fmt::format("define tracepoint {:x} at {:x} {} steps {:x} pass {:x}", r.number,
                    r.address.value, r.enabled ? "enabled" : "disabled", r.steps, r.pass);
    if (r.kind == DefineTracepoint::Kind::Fast) text += fmt::format(" fast {:x}", r.fast_length);
    if (r.kind == DefineTracepoint::Kind::Static) text += " static";
    if (r.condition) text += " if " + to_hex(*r.condition);
    return text;
  }
  std::string operator()(const AddTraceActions& r) const {
    std::string text = fmt::format("add trace actions {:x} at {:x}{}", r.number, r.address.value,
                                   r.while_stepping ? " while stepping" : "");
    for (const TraceAction& action : r.actions)
      text += " {" + text_of(action) + "}";
    return text;
  }
  std::string operator()(const AddTraceSource& r) const {
    return fmt::format("add trace source {:x} at {:x} {} {:x} {:x} {}", r.number, r.address.value,
                       r.type, r.start, r.total, r.text);
  }
  std::string operator()(const DefineTraceVariable& r) const {
    return fmt::format("define trace variable {:x} = {}{} {}", r.number, r.value,
                       r.builtin ? " builtin" : "", r.name);
  }
  std::string operator()(const ReadTraceVariable& r) const {
    return fmt::format("read trace variable {:x}", r.number);
  }
  std::string operator()(const EnableTracepoint& r) const {
    return fmt::format("{} tracepoint {:x} at {:x}", r.enable ? "enable" : "disable", r.number,
                       r.address.value);
  }
  std::string operator()(const SetReadOnlyMemory& r) const {
    std::string text = "set read-only memory";
    for (const auto& range : r.ranges)
      text += fmt::format(" {:x}-{:x}", range.start.value, range.end.value);
    return text;
  }
  std::string operator()(const StartTrace&) const { return "start trace"; }
  std::string operator()(const StopTrace&) const { return "stop trace"; }
  std::string operator()(const QueryTrace&) const { return "query trace"; }
  std::string operator()(const QueryTracepoint& r) const {
    return fmt::format("query tracepoint {:x} at {:x}", r.number, r.address.value);
  }
  std::string operator()(const FirstTracepoints&) const { return "first tracepoints"; }
  std::string operator()(const MoreTracepoints&) const { return "more tracepoints"; }
  std::string operator()(const FirstTraceVariables&) const { return "first trace variables"; }
  std::string operator()(const MoreTraceVariables&) const { return "more trace variables"; }
  std::string operator()(const SelectFrame& r) const {
    switch (r.by) {
      case SelectFrame::By::Number:
        return r.number ? fmt::format("select frame {:x}", *r.number) : "select no frame";
      case SelectFrame::By::Pc:
        return fmt::format("select frame pc {:x}", r.first.value);
      case SelectFrame::By::Tracepoint:
        return fmt::format("select frame of {:x}", r.number.value_or(0));
      case SelectFrame::By::Range:
        return fmt::format("select frame in {:x} {:x}", r.first.value, r.last.value);
      case SelectFrame::By::Outside:
        break;
    }
    return fmt::format("select frame outside {:x} {:x}", r.first.value, r.last.value);
  }
  std::string operator()(const ReadTraceBuffer& r) const {
    return fmt::format("read trace buffer {:x} {:x}", r.offset, r.length);
  }
  std::string operator()(const SetTraceRing& r) const {
    return fmt::format("set trace ring {:d}", r.circular);
  }
  std::string operator()(const SetTraceSize& r) const {
    return r.size ? fmt::format("set trace size {:x}", *r.size) : "set trace size any";
  }
  std::string operator()(const SaveTrace& r) const { return "save trace " + r.name; }
  std::string operator()(const SetDisconnectedTracing& r) const {
    return fmt::format("set disconnected tracing {:d}", r.on);
  }
  std::string operator()(const SetTraceNotes& r) const {
    std::string text = "set trace notes";
    if (r.user) text += " user " + *r.user;
    if (r.notes) text += " notes " + *r.notes;
    if (r.stop) text += " stop " + *r.stop;
    return text;
  }
  std::string operator()(const QueryFastTracepoints&) const { return "query fast tracepoints"; }
  std::string operator()(const EnableThreadSuffix&) const { return "enable thread suffix"; }
  std::string operator()(const EnableThreadList&) const { return "enable thread list"; }
  std::string operator()(const EnableErrorStrings&) const { return "enable error strings"; }
  std::string operator()(const QueryProcess&) const { return "query process"; }
  std::string operator()(const QueryServerVersion&) const { return "query server version"; }
  std::string operator()(const QueryWatchpointSupport&) const { return "query watchpoints"; }
  std::string operator()(const QueryThreadStop& r) const {
    return "query stop of thread " + text_of(r.thread);
  }
  std::string operator()(const QueryThreadStops&) const { return "query stops of threads"; }
  std::string operator()(const SaveRegisters& r) const {
    return "save registers" + thread_text(r.thread);
  }
  std::string operator()(const RestoreRegisters& r) const {
    return fmt::format("restore registers {}{}", r.number, thread_text(r.thread));
  }
  std::string operator()(const AllocateMemory&) const { return "allocate memory"; }
  std::string operator()(const ReadMemorySpans& r) const {
    std::string text = "read memory spans";
    for (const MemorySpan& span : r.spans)
      text += fmt::format(" {:x} {:x}", span.address.value, span.length);
    return text;
  }
  std::string operator()(const ChangeBreakpoints& r) const {
    std::string text = "change breakpoints";
    for (const BreakpointRequest& request : r.requests)
      text += " {" + std::visit(*this, request) + "}";
    return text;
  }
};

}  // namespace

std::string describe(const Request& request) { return std::visit(Describe{}, request); }

}  // namespace ringside::rsp
