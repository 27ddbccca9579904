// Everything that reaches the guest from outside, as one closed type: what a run is determined by,
// beside the files and options that it starts from. The journal has a word for each.
#pragma once

#include <variant>

#include "machine/machine.h"

namespace ringside::time {

using Input =
    std::variant<machine::SerialInput, machine::GuestGdbInput, machine::GuestGdbConnection>;

}  // namespace ringside::time
