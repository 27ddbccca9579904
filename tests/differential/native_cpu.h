// Runs single instructions on the host's own processor. The instruction is entered with IRET, so
// that every register, the flags and the code segment are as the case wants them, and left through
// the signal that follows: a single-step trap, a breakpoint after a REP instruction, or its fault.
// One per process (signal handlers); use it from one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "differential/state.h"

namespace ringside::differential {

class NativeCpu {
 public:
  // Nothing, or why this host cannot run any case (no room at the addresses).
  static std::optional<std::string> start();
  // Nothing, or why this host cannot run code of this mode. 16- and 32-bit code needs a segment
  // that not every kernel has or gives; a child process tries it out once. After start().
  static std::optional<std::string> lacks(Mode mode);

  // Throws std::runtime_error when the processor refuses the segments.
  static Outcome run(const Case& test);
  // The pages at kData and kReadOnly in this process.
  static std::span<std::uint8_t> data();
  static std::span<const std::uint8_t> read_only();
};

}  // namespace ringside::differential
