// What ringside says on stderr: one line each, lost if nobody reads it within a moment (a paused
// terminal must not hold the debug server). Users and tests read some of them (docs: "gdb:
// listening on ..."), so their wording is an interface. Names and text that clients and guests have
// chosen are among it, so control characters are written out (base/plain_text.h).
#pragma once

#include <fmt/core.h>

#include <string_view>

#include "base/log.h"

namespace ringside::cli {

void write_line(std::string_view line);

template <typename... Args>
void notice(fmt::format_string<Args...> format, Args&&... args) {
  write_line(fmt::format(format, std::forward<Args>(args)...));
}

// Sends the log to stderr.
void log_to_stderr(log::Level threshold);

}  // namespace ringside::cli
