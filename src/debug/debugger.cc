#include "debug/debugger.h"

namespace ringside::debug {

Debugger::Debugger(Target& target, const ServerOptions& options)
    : target_(target), options_(options) {}

void Debugger::begin_session() { session_ = {}; }

void Debugger::end_session() {
  session_.over = true;
  scan_.reset();
  target_.control().detach();
}

Debugger::When Debugger::when(const rsp::Request& request) const {
  return std::visit([](const auto& r) { return when(r); }, request);
}

Debugger::Answer Debugger::answer(const rsp::Request& request) {
  return std::visit([this](const auto& r) { return serve(r); }, request);
}

Debugger::Answer Debugger::refuse(const Error& error) const {
  return rsp::reply::error(error, session_.error_style);
}

Debugger::Answer Debugger::serve(const rsp::Malformed& request) {
  return refuse(Error(ErrorCode::BadRequest, std::string(request.reason)));
}

}  // namespace ringside::debug
