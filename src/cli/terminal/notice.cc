#include "cli/terminal/notice.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>

#include "base/plain_text.h"

namespace ringside::cli {
namespace {

// Whether stderr takes something. Waits for it once, not again at every line.
bool stderr_takes() {
  constexpr int kMilliseconds = 200;
  static std::atomic<bool> paused = false;
  pollfd entry{STDERR_FILENO, POLLOUT, 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, paused ? 0 : kMilliseconds);
  } while (ready < 0 && errno == EINTR);
  paused = ready == 0;
  return ready != 0;
}

std::string_view level_name(log::Level level) {
  switch (level) {
    case log::Level::Trace:
      return "trace";
    case log::Level::Debug:
      return "debug";
    case log::Level::Info:
      return "info";
    case log::Level::Warning:
      return "warning";
    default:
      return "error";
  }
}

}  // namespace

// One write, so that lines of several threads never mix; a second one only for what the first has
// left.
void write_line(std::string_view line) {
  const std::string text = plain_lines(line) + "\n";
  std::string_view left = text;
  while (!left.empty() && stderr_takes()) {
    const ssize_t size = ::write(STDERR_FILENO, left.data(), left.size());
    if (size < 0 && errno != EINTR && errno != EAGAIN) return;
    if (size > 0) left.remove_prefix(static_cast<std::size_t>(size));
  }
}

void log_to_stderr(log::Level threshold) {
  log::set_sink([](log::Level level,
                   std::string_view text) { notice("ringside: {}: {}", level_name(level), text); },
                threshold);
}

}  // namespace ringside::cli
