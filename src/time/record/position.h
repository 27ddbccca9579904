// Where in a run: what a journal tells moments by. Positions of one run are ordered; those of
// different runs have nothing to do with each other, unless one repeats the other.
//
// The engine's progress comes first. Where it stands still, virtual time goes on while all vCPUs
// sleep.
#pragma once

#include <compare>
#include <cstdint>

#include "platform/recordable.h"
#include "ringside/types.h"

namespace ringside::time {

struct Position {
  hypervisor::Progress progress;
  VirtualTime time;
  friend auto operator<=>(const Position&, const Position&) = default;
};

// A moment as somebody who goes back tells it: several inputs may come at one position.
struct Place {
  Position at;
  std::uint64_t inputs = 0;  // that have come before it, in the run's log (InputLog)
  friend auto operator<=>(const Place&, const Place&) = default;
};

}  // namespace ringside::time
