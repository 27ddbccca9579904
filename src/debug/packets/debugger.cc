#include "debug/packets/debugger.h"

#include <type_traits>
#include <utility>

namespace ringside::debug {
namespace {

// Whether a request is one of these.
template <typename... Served>
struct Serves {
  template <typename Request>
  bool operator()(const Request&) const {
    return (std::is_same_v<Request, Served> || ...);
  }
};

// What an extended session that has let the machine go may ask.
struct ServedWithoutMachine
    : Serves<rsp::Unknown, rsp::Malformed, rsp::QuerySupported, rsp::StartNoAckMode, rsp::QueryHost,
             rsp::ExtendedMode, rsp::QueryResumeActions, rsp::QueryStop, rsp::FirstThreads,
             rsp::MoreThreads, rsp::Attach, rsp::Run, rsp::Restart, rsp::SetNonStop,
             rsp::AcknowledgeStop, rsp::EnableThreadSuffix, rsp::EnableThreadList,
             rsp::EnableErrorStrings, rsp::QueryServerVersion, rsp::QueryWatchpointSupport> {
  using Serves::operator();
  bool operator()(const rsp::ReadTransfer& r) const { return r.object == "features"; }
};

// What changes nothing but the session itself.
using ServedToWhoLooks =
    Serves<rsp::Unknown, rsp::Malformed, rsp::QuerySupported, rsp::StartNoAckMode, rsp::QueryHost,
           rsp::QueryAttached, rsp::ExtendedMode, rsp::Attach, rsp::QueryResumeActions,
           rsp::QueryStop, rsp::SelectThread, rsp::IsThreadAlive, rsp::CurrentThread,
           rsp::FirstThreads, rsp::MoreThreads, rsp::ThreadDescription, rsp::ReadRegisters,
           rsp::ReadRegister, rsp::ReadMemory, rsp::SearchMemory, rsp::ChecksumMemory,
           rsp::DescribeMemory, rsp::ReadTransfer, rsp::QueryOffsets, rsp::Monitor,
           rsp::QueryPhysicalMode, rsp::SetPhysicalMode, rsp::QueryStepBits, rsp::QueryStepMask,
           rsp::SetNonStop, rsp::Detach, rsp::Kill, rsp::KillProcess, rsp::QueryTrace,
           rsp::QueryTracepoint, rsp::FirstTracepoints, rsp::MoreTracepoints,
           rsp::FirstTraceVariables, rsp::MoreTraceVariables, rsp::ReadTraceVariable,
           rsp::SelectFrame, rsp::ReadTraceBuffer, rsp::QueryFastTracepoints,
           rsp::EnableThreadSuffix, rsp::EnableThreadList, rsp::EnableErrorStrings,
           rsp::QueryProcess, rsp::QueryServerVersion, rsp::QueryWatchpointSupport,
           rsp::QueryThreadStop, rsp::QueryThreadStops, rsp::AllocateMemory, rsp::ReadMemorySpans>;

using Resumes = Serves<rsp::Resume, rsp::ResumeThreads, rsp::ResumeBackward>;

// The thread that a packet means instead of that which Hg has chosen.
struct NamedThread {
  std::optional<rsp::ThreadId> operator()(const rsp::ReadRegisters& r) const { return r.thread; }
  std::optional<rsp::ThreadId> operator()(const rsp::WriteRegisters& r) const { return r.thread; }
  std::optional<rsp::ThreadId> operator()(const rsp::ReadRegister& r) const { return r.thread; }
  std::optional<rsp::ThreadId> operator()(const rsp::WriteRegister& r) const { return r.thread; }
  std::optional<rsp::ThreadId> operator()(const rsp::SaveRegisters& r) const { return r.thread; }
  std::optional<rsp::ThreadId> operator()(const rsp::RestoreRegisters& r) const { return r.thread; }
  template <typename Request>
  std::optional<rsp::ThreadId> operator()(const Request&) const {
    return std::nullopt;
  }
};

}  // namespace

Debugger::Debugger(Target& target, const ServerOptions& options)
    : target_(target), options_(options) {}

void Debugger::begin_session(const Session& session) {
  session_ = session;
  session_.role = Session::Role::Controls;
  session_.wants_control = false;
}

void Debugger::begin_looking() {
  session_ = {};
  session_.role = Session::Role::Looks;
}

void Debugger::wait_for_attach() {
  session_.extended = true;
  session_.attached = false;
}

void Debugger::end_session() {
  session_.over = true;
  scan_.reset();
  if (return_to_present()) {
    target_.control().detach();
  } else {
    target_.control().renew();
  }
}

Debugger::When Debugger::when(const rsp::Request& request) const {
  const When needed = std::visit([](const auto& r) { return when(r); }, request);
  if (looks() && std::holds_alternative<rsp::Attach>(request)) return When::Out;
  // What takes the machine is for extended sessions, and others are told at once that it is not
  // for them. What needs the machine is refused to who has let it go.
  if (needed == When::Attached) return session_.extended ? needed : When::Now;
  if (looks() && (std::holds_alternative<rsp::QueryStop>(request) || stays_where_it_is(request)))
    return When::Out;
  if (!session_.attached) return When::Now;
  const auto* const transfer = std::get_if<rsp::ReadTransfer>(&request);
  if (transfer != nullptr && is_of_guest(*transfer)) return When::Out;
  return is_non_stop() && !looks() ? when_non_stop(request, needed) : needed;
}

Debugger::Answer Debugger::answer(const rsp::Request& request) {
  if (!session_.attached && !std::visit(ServedWithoutMachine{}, request)) {
    if (std::holds_alternative<rsp::Kill>(request)) return std::nullopt;  // k has no answer
    return refuse(ErrorCode::NotFound, "no process is attached; vAttach;1 or vRun");
  }
  if (stays_where_it_is(request)) {
    say_that_it_looks();
    return serve(rsp::QueryStop{});
  }
  if (looks() && !std::visit(ServedToWhoLooks{}, request)) {
    // A debugger that has resumed waits for a stop and takes output; the error ends that. To
    // other requests there is nothing but the number.
    if (session_.error_style == rsp::ErrorStyle::Number && std::visit(Resumes{}, request))
      say_that_it_looks();
    return refuse(Error(ErrorCode::Busy, std::string(kOnlyLooks)));
  }
  if (session_.frame) {
    if (std::optional<Answer> answer = answer_from_frame(request)) return *std::move(answer);
  }
  if (const auto named = named_thread(request)) {
    const std::optional<VcpuId> vcpu = find_thread(*named);
    if (!vcpu) return refuse(ErrorCode::BadRequest, "there is no such thread");
    return answer_about(*vcpu, request);
  }
  return std::visit([this](const auto& r) { return serve(r); }, request);
}

void Debugger::say_that_it_looks() {
  before_answer_.push_back(rsp::reply::console_output(std::string(kOnlyLooks) + '\n'));
}

// LLDB ends its session where a resume gets an error, so one that only looks hears of a stop.
bool Debugger::stays_where_it_is(const rsp::Request& request) const {
  return looks() && session_.lists_threads && std::visit(Resumes{}, request);
}

std::optional<rsp::ThreadId> Debugger::named_thread(const rsp::Request& request) {
  return std::visit(NamedThread{}, request);
}

// The choice stays as it was.
Debugger::Answer Debugger::answer_about(VcpuId vcpu, const rsp::Request& request) {
  const VcpuId chosen = std::exchange(session_.current, vcpu);
  Answer answer = std::visit([this](const auto& r) { return serve(r); }, request);
  session_.current = chosen;
  return answer;
}

Debugger::Answer Debugger::refuse(const Error& error) const {
  return rsp::reply::error(error, session_.error_style);
}

Debugger::Answer Debugger::serve(const rsp::Malformed& request) {
  return refuse(Error(ErrorCode::BadRequest, std::string(request.reason)));
}

}  // namespace ringside::debug
