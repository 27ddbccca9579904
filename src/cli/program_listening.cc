// The program's part in a debugger that is wanted when the guest runs already.
#include <fmt/format.h>

#include <utility>
#include <variant>

#include "cli/program.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {
namespace {

bool opens_a_socket(const transport::Endpoint& endpoint) {
  return std::holds_alternative<transport::TcpEndpoint>(endpoint) ||
         std::holds_alternative<transport::UnixEndpoint>(endpoint);
}

}  // namespace

// Without -G, or beside a client that came through a pipe: the debug server is there, and listens
// from now on.
Result<std::string> Program::begin_to_listen(std::string_view endpoint) {
  // What is standard input by now has been the guest's console, or nobody's; and a client there
  // could not come a second time.
  const transport::Endpoint parsed = TRY(transport::parse_endpoint(endpoint));
  if (std::holds_alternative<transport::StdioEndpoint>(parsed))
    return fail(ErrorCode::NotSupported, "stdio is for -G at the start; give a port, or unix:PATH");
  Fd socket;
  std::string place(endpoint);
  if (outside_.listens_for_us() && debugger_->where().empty() && opens_a_socket(parsed)) {
    socket = TRY(outside_.listen(place));
    place = fmt::format("fd:{}", socket.get());
  }
  TRY(debugger_->listen(place));
  say_where_debugger_is();
  return debugger_->where();
}

// SIGUSR1. At GDB's usual port, or where that is another's at any free one.
void Program::listen_at_a_signal() {
  const Result<std::string> usual = begin_to_listen("127.0.0.1:1234");
  if (usual) return;
  const bool taken = usual.error().code() != ErrorCode::Busy;
  const Result<std::string> any = taken ? begin_to_listen("127.0.0.1:0") : usual;
  if (!any) notice("{}", any.error().text());
}

}  // namespace ringside::cli
