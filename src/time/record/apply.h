// An input from outside takes effect.
#pragma once

#include <functional>

#include "base/result.h"
#include "machine/machine.h"
#include "platform/engine.h"
#include "time/record/inputs.h"

namespace ringside::time {

// On the engine's thread, between two slices. `restart` is what MachineReset does. An error: the
// input cannot have come at this moment of a run.
Result<void> apply(const Input& input, hypervisor::Engine& engine, machine::Machine& machine,
                   const std::function<Result<void>()>& restart);

}  // namespace ringside::time
