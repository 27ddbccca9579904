#include "cli/notice.h"

#include <unistd.h>

#include <string>

namespace ringside::cli {
namespace {

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

// One write, so that lines of several threads never mix.
void write_line(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  [[maybe_unused]] const ssize_t size = ::write(STDERR_FILENO, text.data(), text.size());
}

void log_to_stderr(log::Level threshold) {
  log::set_sink([](log::Level level,
                   std::string_view text) { notice("ringside: {}: {}", level_name(level), text); },
                threshold);
}

}  // namespace ringside::cli
