// An optional ability of an engine: its run can be recorded and repeated. Such an engine is
// deterministic: what its CPUs have done follows from where they began, from the number of
// instructions retired, and from what came from outside and at which of these numbers.
//
// One thread, the one that calls Engine::run_slice, and between two slices.
#pragma once

#include <optional>

#include "base/state_visitor.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

class Recordable {
 public:
  virtual ~Recordable() = default;
  // Retired by all vCPUs together.
  virtual InsnCount total_instructions() const = 0;
  // run_slice stops exactly when this many instructions are retired (a replayed input is due, or a
  // test wants the state there). Nothing: no such limit.
  virtual void stop_at(std::optional<InsnCount> total) = 0;
  // Everything of the engine and its CPUs that the future of the run depends on, but neither RAM
  // nor the machine's devices, whose owners visit them.
  virtual void visit_processors(StateVisitor& visitor) = 0;
};

}  // namespace ringside::hypervisor
