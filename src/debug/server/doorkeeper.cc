#include "debug/server/doorkeeper.h"

#include <variant>

#include "rsp/framing.h"
#include "rsp/reply.h"

namespace ringside::debug {
namespace {

constexpr unsigned kTries = 3;
constexpr std::string_view kHowTo = "a debugger of another host first says: monitor auth TOKEN";

// Takes the same time wherever the two differ. How long a token is is no secret.
bool is_same(std::string_view said, std::string_view token) {
  unsigned differs = said.size() == token.size() ? 0 : 1;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const char c = i < said.size() ? said[i] : '\0';
    differs |= static_cast<unsigned char>(c ^ token[i]);
  }
  return differs == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

void Doorkeeper::on_bytes(std::span<const std::byte> bytes) {
  said_.input.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!has_begun_) {
    switch (rsp::opening(said_.input)) {
      case rsp::Opening::Unclear:
        said_.input.clear();  // acknowledgements of nothing
        return;
      case rsp::Opening::Other:
        state_ = State::NoDebugger;
        return;
      case rsp::Opening::Debugger:
        has_begun_ = true;
    }
  }
  work();
}

void Doorkeeper::wrote(std::size_t count) {
  said_.link.wrote(count);
  work();  // what waited for room in the queue
}

// What comes behind the right token is the server's to read.
void Doorkeeper::work() {
  if (state_ != State::Asking || said_.input.empty()) return;
  std::string_view input = said_.input;
  while (state_ == State::Asking) {
    const std::optional<rsp::Event> event = said_.link.receive(input);
    if (!event) break;
    // A Ctrl-C asks for a stop of nothing.
    if (event->kind != rsp::Event::Kind::Packet) continue;
    const rsp::Request request = rsp::parse(event->payload);
    said_.link.send(answer(request));
    const bool no_ack = std::holds_alternative<rsp::StartNoAckMode>(request);
    if (no_ack && !said_.link.no_ack_mode()) said_.link.start_no_ack_mode();
  }
  said_.input.erase(0, said_.input.size() - input.size());
}

// What is agreed is agreed for the session that follows. Once is enough, however often it is said.
std::string Doorkeeper::agree(const rsp::Request& request, std::string reply) {
  for (rsp::Request& known : said_.answered) {
    if (known.index() != request.index()) continue;
    known = request;
    return reply;
  }
  said_.answered.push_back(request);
  return reply;
}

std::string Doorkeeper::answer(const rsp::Request& request) {
  if (const auto* monitor = std::get_if<rsp::Monitor>(&request))
    return answer_monitor(monitor->command);
  if (const auto* supported = std::get_if<rsp::QuerySupported>(&request)) {
    if (supported->announces("error-message")) error_style_ = rsp::ErrorStyle::Text;
    return agree(request, supported_features(*supported, abilities_));
  }
  if (std::holds_alternative<rsp::QueryResumeActions>(request))
    return agree(request, std::string(kResumeActions));
  if (std::holds_alternative<rsp::StartNoAckMode>(request) ||
      std::holds_alternative<rsp::SetNonStop>(request) ||
      std::holds_alternative<rsp::EnableThreadSuffix>(request) ||
      std::holds_alternative<rsp::EnableThreadList>(request) ||
      std::holds_alternative<rsp::EnableErrorStrings>(request)) {
    return agree(request, rsp::reply::ok());
  }
  if (std::holds_alternative<rsp::ExtendedMode>(request)) return rsp::reply::ok();
  if (std::holds_alternative<rsp::QueryStop>(request)) return rsp::reply::exited(0, std::nullopt);
  if (std::holds_alternative<rsp::QueryTrace>(request)) return "T0;tnotrun:0";
  // GDB asks for more until it has the end of the list, errors or not.
  if (std::holds_alternative<rsp::FirstTracepoints>(request) ||
      std::holds_alternative<rsp::MoreTracepoints>(request) ||
      std::holds_alternative<rsp::FirstTraceVariables>(request) ||
      std::holds_alternative<rsp::MoreTraceVariables>(request)) {
    return "l";
  }
  if (std::holds_alternative<rsp::Unknown>(request)) return rsp::reply::empty();
  // Also for the threads: to LLDB an empty list would be a process with one.
  return rsp::reply::error(Error(ErrorCode::NotFound, std::string(kHowTo)), error_style_);
}

// A client's console shows the text of a reply.
std::string Doorkeeper::answer_monitor(std::string_view command) {
  constexpr std::string_view kAuth = "auth ";
  const std::string_view line = trimmed(command);
  if (!line.starts_with(kAuth)) return rsp::reply::hex(std::string(kHowTo) + "\n");
  if (!token_.empty() && is_same(trimmed(line.substr(kAuth.size())), token_)) {
    state_ = State::Admitted;
    return rsp::reply::hex("Now 'attach 1' (GDB), 'process attach --pid 1' (LLDB).\n");
  }
  if (++tries_ < kTries) return rsp::reply::hex("This is not the token.\n");
  state_ = State::WrongTokens;
  return rsp::reply::hex("This is not the token, for the third time. The connection is closed.\n");
}

}  // namespace ringside::debug
