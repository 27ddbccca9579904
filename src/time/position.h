// Where in a run: what a journal tells moments by. Positions of one run are ordered; those of
// different runs have nothing to do with each other, unless one replays the other.
//
// The number of instructions retired by all vCPUs comes first. At one number virtual time goes on
// while all vCPUs sleep.
#pragma once

#include <compare>

#include "ringside/types.h"

namespace ringside::time {

struct Position {
  InsnCount count;
  VirtualTime time;
  friend auto operator<=>(const Position&, const Position&) = default;
};

}  // namespace ringside::time
