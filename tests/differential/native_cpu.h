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
  // Nothing with a reason when this host cannot do it (no room at the addresses).
  static std::optional<std::string> start();
  // 16-bit code needs a local descriptor table, which some kernels do not offer.
  static bool has_mode(Mode mode);

  static Outcome run(const Case& test);
  // The pages at kData and kReadOnly in this process.
  static std::span<std::uint8_t> data();
  static std::span<const std::uint8_t> read_only();
};

}  // namespace ringside::differential
