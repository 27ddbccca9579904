// Programs at random, with everything that may go wrong between decoding and executing a block:
// flags of every kind read after every kind of writer, faults in the midst, accesses across pages
// and to pages with code, code that changes itself, page tables that change with and without a
// flush, traps, shadows, interrupts, jumps into the middle of what was one block, the same code at
// several addresses and in two modes.
#pragma once

#include "translator/stage.h"

namespace ringside::testing {

// The same setting and seed give the same program.
Scene random_program(Setting setting, std::uint64_t seed);

}  // namespace ringside::testing
