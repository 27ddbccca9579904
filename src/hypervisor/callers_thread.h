// Whether a Vm waits for the thread that serves it.
#pragma once

#include "ringside/vm.h"

namespace ringside::hypervisor {

// A vCPU that could execute is in the guest of a Vm that runs on the caller's thread: until the
// caller gives it time, nothing will happen that could end a wait.
bool needs_callers_thread(Vm& vm);

}  // namespace ringside::hypervisor
