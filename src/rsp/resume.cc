// ? c C s S bs bc vCont vCont? vCtrlC QNonStop vStopped. GDB manual, "Packets" and "vCont packet".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {
namespace {

std::optional<std::uint8_t> take_signal(Fields& fields) {
  const auto signal = fields.hex();
  if (!signal || *signal > 0xff) return std::nullopt;
  return static_cast<std::uint8_t>(*signal);
}

// [addr] for c and s, sig[;addr] for C and S.
Request parse_plain(Fields fields, ResumeKind kind, bool with_signal) {
  Resume resume;
  resume.kind = kind;
  if (with_signal) {
    resume.signal = take_signal(fields);
    if (!resume.signal) return Malformed{"C and S want a signal of two hex digits"};
    if (fields.at_end()) return resume;
    if (!fields.take(';')) return Malformed{"C and S want signal;address"};
  } else if (fields.at_end()) {
    return resume;
  }
  resume.address = fields.address();
  if (!resume.address || !fields.at_end()) return Malformed{"the address to resume at is wrong"};
  return resume;
}

// Another b sets the baud rate: nobody sends it any more.
Request parse_backward(Fields fields) {
  ResumeBackward resume;
  if (fields.take('s')) {
    resume.kind = ResumeKind::Step;
  } else if (!fields.take('c')) {
    return Unknown{};
  }
  if (!fields.at_end()) return Malformed{"bs and bc take no argument"};
  return resume;
}

std::optional<ThreadAction> take_action(Fields& fields) {
  ThreadAction action;
  if (fields.take('c')) {
    action.kind = ResumeKind::Continue;
  } else if (fields.take('s')) {
    action.kind = ResumeKind::Step;
  } else if (fields.take('t')) {
    action.kind = ResumeKind::Stop;
  } else if (fields.take('C')) {
    action.kind = ResumeKind::Continue;
    action.signal = take_signal(fields);
    if (!action.signal) return std::nullopt;
  } else if (fields.take('S')) {
    action.kind = ResumeKind::Step;
    action.signal = take_signal(fields);
    if (!action.signal) return std::nullopt;
  } else if (fields.take('r')) {
    action.kind = ResumeKind::StepRange;
    const auto start = fields.address();
    if (!start || !fields.take(',')) return std::nullopt;
    const auto end = fields.address();
    if (!end) return std::nullopt;
    action.range_start = *start;
    action.range_end = *end;
  } else {
    return std::nullopt;
  }
  if (fields.take(':')) {
    action.thread = fields.thread_id();
    if (!action.thread) return std::nullopt;
  }
  return action;
}

}  // namespace

Request parse_resume(std::string_view payload) {
  const Fields fields(payload.substr(1));
  switch (payload.front()) {
    case '?':
      if (!fields.at_end()) return Malformed{"? takes no argument"};
      return QueryStop{};
    case 'b':
      return parse_backward(fields);
    case 'c':
      return parse_plain(fields, ResumeKind::Continue, false);
    case 'C':
      return parse_plain(fields, ResumeKind::Continue, true);
    case 's':
      return parse_plain(fields, ResumeKind::Step, false);
    default:
      return parse_plain(fields, ResumeKind::Step, true);
  }
}

Request parse_resume_query(std::string_view payload) {
  if (payload == "vCont?") return QueryResumeActions{};
  if (payload == "vCtrlC") return Interrupt{};
  if (payload == "vStopped") return AcknowledgeStop{};
  Fields fields(payload);
  if (fields.take("QNonStop")) {
    const auto on = fields.take(':') ? fields.hex() : std::nullopt;
    if (!on || *on > 1 || !fields.at_end()) return Malformed{"QNonStop wants :0 or :1"};
    return SetNonStop{*on == 1};
  }
  if (!fields.take("vCont") || fields.at_end()) return Malformed{"the packet takes no argument"};
  ResumeThreads resume;
  while (!fields.at_end()) {
    if (!fields.take(';')) return Malformed{"vCont actions are divided by ;"};
    const auto action = take_action(fields);
    if (!action) return Malformed{"vCont has an action that is not c, C, s, S, t or r"};
    resume.actions.push_back(*action);
  }
  return resume;
}

}  // namespace ringside::rsp
