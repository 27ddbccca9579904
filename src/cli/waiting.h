// How long the main loop may sleep after a round: a slice of the guest, and everything that it led
// to on the sockets. What is decisive is the state after all of that. A client whose reply has just
// been written, or who has just gone, may have let a vCPU run after the slice.
//
// A guest that is faster than its clock may be is held back. Otherwise it is a function of the
// machine's state alone, but for the time that begin_wait() lets pass where virtual time may run
// ahead. Main thread.
#pragma once

#include <chrono>
#include <optional>

#include "platform/engine.h"
#include "time/record/timeline.h"

namespace ringside::cli {

enum class Slice { Ran, Idle };

// Nothing: until something comes from outside. `slice` is what the round's slice did: what it did
// last may yet have to be looked at, a guest that has halted for good for example.
inline std::optional<std::chrono::nanoseconds> time_to_wait(Slice slice,
                                                            const hypervisor::Engine& engine,
                                                            bool debugger_has_work,
                                                            time::Timeline& timeline,
                                                            time::Timeline::Clock::time_point now) {
  if (debugger_has_work) return std::chrono::nanoseconds(0);
  if (slice == Slice::Ran) return timeline.lead(now);
  if (engine.wants_slice()) return std::chrono::nanoseconds(0);
  return timeline.begin_wait(now);
}

}  // namespace ringside::cli
