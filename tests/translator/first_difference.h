// From "they are different now" to the instruction that did it.
//
// A block of host code runs whole, or not at all: where the run has to stop within it, the
// interpreter takes over. So the first count at which the two differ is the end of some block, and
// which of its instructions it was shows when blocks are made to end earlier, at breakpoints that
// never stop anything.
#pragma once

#include <cstdint>
#include <string>

#include "translator/twins.h"

namespace ringside::testing {

// In words: the instruction's address, bytes and meaning, all registers before it, and what is
// different after it. `equal` and `different` are counts at which the two were alike, and were not;
// runs are begun anew as often as it takes.
std::string first_difference(const MakeTwins& make, InsnCount equal, InsnCount different);

}  // namespace ringside::testing
