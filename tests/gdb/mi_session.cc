#include "gdb/mi_session.h"

#include <signal.h>

#include <algorithm>

namespace ringside::testing {

MiSession::MiSession(std::string_view version, const std::string& image)
    : process_({"sh", "-c", "cd \"$1\" && exec gdb -nx -q \"$2\" \"$0\" 2>&1", image,
                RINGSIDE_SOURCE, "--interpreter=" + std::string(version)}) {
  process_.await(ChildProcess::Stream::Output, "(gdb)", Deadline(std::chrono::seconds(60)));
}

std::string MiSession::ask(std::string_view command) {
  const std::string token = std::to_string(++token_);
  process_.write_input(token + std::string(command) + '\n');
  return await_line(token + '^', results_seen_, Deadline()).substr(token.size());
}

std::string MiSession::await_stop(const Deadline& deadline) {
  return await_line("*stopped", stops_seen_, deadline);
}

std::string MiSession::await_printed() {
  printed_seen_ = std::max(printed_seen_, results_seen_);
  return await_line("@\"", printed_seen_, Deadline());
}

void MiSession::interrupt() { process_.kill(SIGINT); }

// The next whole line with this beginning; `seen` is how much was looked at for such lines.
std::string MiSession::await_line(const std::string& start, std::size_t& seen,
                                  const Deadline& deadline) {
  while (true) {
    const std::string& text = all();
    for (std::size_t end = text.find('\n', seen); end != std::string::npos;
         end = text.find('\n', seen)) {
      const std::string line = text.substr(seen, end - seen);
      seen = end + 1;
      if (line.rfind(start, 0) == 0) return line;
    }
    process_.await_more(ChildProcess::Stream::Output, deadline);
  }
}

}  // namespace ringside::testing
