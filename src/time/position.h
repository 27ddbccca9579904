// Where in a run: what a journal tells moments by. Positions of one run are ordered; those of
// different runs have nothing to do with each other, unless one repeats the other.
//
// The engine's progress comes first. Where it stands still, virtual time goes on while all vCPUs
// sleep.
#pragma once

#include <compare>

#include "platform/recordable.h"
#include "ringside/types.h"

namespace ringside::time {

struct Position {
  hypervisor::Progress progress;
  VirtualTime time;
  friend auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace ringside::time
