// Which segments the host's kernel lets a process run 16-, 32- and 64-bit code in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "differential/state.h"

namespace ringside::differential {

struct CodeSegments {
  std::uint16_t code = 0, data = 0;    // selectors; data is for SS, DS and ES
  std::optional<std::string> missing;  // why code of the mode does not run here
};

// Tried out by a child process at the first call for a mode.
const CodeSegments& code_segments(Mode mode);

// NativeCpu::run() with the segments given.
Outcome run_in_segments(const Case& test, const CodeSegments& segments);

}  // namespace ringside::differential
