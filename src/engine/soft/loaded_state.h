// What the code relies on about the state of a CPU, whatever a guest does.
#pragma once

#include "engine/soft/cpu/cpu.h"

namespace ringside::soft {

// False: no guest brings a CPU there, so that state was made up or is damaged. What a guest can
// make of it at any time is not asked: that has to be safe anyway.
bool can_be(const Cpu& cpu);

}  // namespace ringside::soft
