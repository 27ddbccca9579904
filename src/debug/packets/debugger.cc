#include "debug/packets/debugger.h"

namespace ringside::debug {
namespace {

// What an extended session that has let the machine go may ask.
struct ServedWithoutMachine {
  bool operator()(const rsp::Unknown&) const { return true; }
  bool operator()(const rsp::Malformed&) const { return true; }
  bool operator()(const rsp::QuerySupported&) const { return true; }
  bool operator()(const rsp::StartNoAckMode&) const { return true; }
  bool operator()(const rsp::QueryHost&) const { return true; }
  bool operator()(const rsp::ExtendedMode&) const { return true; }
  bool operator()(const rsp::QueryResumeActions&) const { return true; }
  bool operator()(const rsp::QueryStop&) const { return true; }
  bool operator()(const rsp::FirstThreads&) const { return true; }
  bool operator()(const rsp::MoreThreads&) const { return true; }
  bool operator()(const rsp::Attach&) const { return true; }
  bool operator()(const rsp::Run&) const { return true; }
  bool operator()(const rsp::Restart&) const { return true; }
  bool operator()(const rsp::ReadTransfer& r) const { return r.object == "features"; }
  template <typename Request>
  bool operator()(const Request&) const {
    return false;
  }
};

// What changes nothing but the session itself.
struct ServedToWhoLooks {
  bool operator()(const rsp::Unknown&) const { return true; }
  bool operator()(const rsp::Malformed&) const { return true; }
  bool operator()(const rsp::QuerySupported&) const { return true; }
  bool operator()(const rsp::StartNoAckMode&) const { return true; }
  bool operator()(const rsp::QueryHost&) const { return true; }
  bool operator()(const rsp::QueryAttached&) const { return true; }
  bool operator()(const rsp::ExtendedMode&) const { return true; }
  bool operator()(const rsp::QueryResumeActions&) const { return true; }
  bool operator()(const rsp::QueryStop&) const { return true; }
  bool operator()(const rsp::SelectThread&) const { return true; }
  bool operator()(const rsp::IsThreadAlive&) const { return true; }
  bool operator()(const rsp::CurrentThread&) const { return true; }
  bool operator()(const rsp::FirstThreads&) const { return true; }
  bool operator()(const rsp::MoreThreads&) const { return true; }
  bool operator()(const rsp::ThreadDescription&) const { return true; }
  bool operator()(const rsp::ReadRegisters&) const { return true; }
  bool operator()(const rsp::ReadRegister&) const { return true; }
  bool operator()(const rsp::ReadMemory&) const { return true; }
  bool operator()(const rsp::SearchMemory&) const { return true; }
  bool operator()(const rsp::ChecksumMemory&) const { return true; }
  bool operator()(const rsp::DescribeMemory&) const { return true; }
  bool operator()(const rsp::ReadTransfer&) const { return true; }
  bool operator()(const rsp::Monitor&) const { return true; }
  bool operator()(const rsp::QueryPhysicalMode&) const { return true; }
  bool operator()(const rsp::SetPhysicalMode&) const { return true; }
  bool operator()(const rsp::QueryStepBits&) const { return true; }
  bool operator()(const rsp::QueryStepMask&) const { return true; }
  bool operator()(const rsp::Detach&) const { return true; }
  bool operator()(const rsp::Kill&) const { return true; }
  bool operator()(const rsp::KillProcess&) const { return true; }
  template <typename Request>
  bool operator()(const Request&) const {
    return false;
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
  // What takes the machine is for extended sessions, and others are told at once that it is not
  // for them. What needs the machine is refused to who has let it go.
  if (needed == When::Attached) return session_.extended ? needed : When::Now;
  if (looks() && std::holds_alternative<rsp::QueryStop>(request)) return When::Out;
  return session_.attached ? needed : When::Now;
}

Debugger::Answer Debugger::answer(const rsp::Request& request) {
  if (!session_.attached && !std::visit(ServedWithoutMachine{}, request)) {
    if (std::holds_alternative<rsp::Kill>(request)) return std::nullopt;  // k has no answer
    return refuse(ErrorCode::NotFound, "no process is attached; vAttach;1 or vRun");
  }
  if (looks() && !std::visit(ServedToWhoLooks{}, request))
    return refuse(Error(ErrorCode::Busy, std::string(kOnlyLooks)));
  return std::visit([this](const auto& r) { return serve(r); }, request);
}

Debugger::Answer Debugger::refuse(const Error& error) const {
  return rsp::reply::error(error, session_.error_style);
}

Debugger::Answer Debugger::serve(const rsp::Malformed& request) {
  return refuse(Error(ErrorCode::BadRequest, std::string(request.reason)));
}

}  // namespace ringside::debug
