#include "gdb/gdb_session.h"

#include <signal.h>

#include "support/host.h"

namespace ringside::testing {
namespace {

constexpr std::string_view kPrompt = "\n(gdb) ";

}  // namespace

std::string GdbSession::missing() { return host::no_program("gdb"); }

// The prompt begins on a line of its own, so that it cannot be taken for output.
GdbSession::GdbSession(const std::string& image)
    : process_(
          {"sh", "-c",
           // where the guests' sources are found by their names
           "cd \"$1\" && exec gdb -nx -q -iex 'set prompt \\n(gdb) ' -iex 'set pagination off' "
           "-iex 'set confirm off' -iex 'set width 0' -iex 'set style enabled off' "
           "-iex 'set debuginfod enabled off' \"$0\" 2>&1",
           image, RINGSIDE_SOURCE}) {
  finish(Deadline(std::chrono::seconds(120)));  // a kernel's symbols take their time
}

void GdbSession::start(std::string_view line) { process_.write_input(std::string(line) + "\n"); }

std::string GdbSession::finish(const Deadline& deadline) {
  constexpr auto kStream = ChildProcess::Stream::Output;
  while (process_.text(kStream).find(kPrompt, seen_) == std::string::npos)
    process_.await_more(kStream, deadline);
  const std::string& all = process_.text(kStream);
  const std::size_t end = all.find(kPrompt, seen_);
  std::string result = all.substr(seen_, end - seen_);
  seen_ = end + kPrompt.size();
  if (!result.empty() && result.back() != '\n') result += '\n';
  return result;
}

std::string GdbSession::command(std::string_view line, const Deadline& deadline) {
  start(line);
  return finish(deadline);
}

std::string GdbSession::interrupt_command(std::string_view line, ChildProcess& server) {
  start(line);
  server.await_busy();
  process_.kill(SIGINT);
  return finish();
}

}  // namespace ringside::testing
