// The calls of every companion that serves a device of the guest's (companion.h), to which the
// filters of each kind add their own.
#pragma once

#include "sandbox/filter.h"

namespace ringside::sandbox {

// Its socket and other files that are there, memory, and its end; what is hostile ends it.
void allow_what_companions_need(Filter& filter, SendsTo whom = SendsTo::ItsOtherEnd);

// By the calls whose flags a filter sees.
void allow_opening_to_read(Filter& filter);

}  // namespace ringside::sandbox
