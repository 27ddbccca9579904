// Takes checks of a machine at moments of its run. Costs what the CPUs' and devices' state is, and
// the pages that have changed since the last one. Main thread.
#pragma once

#include "machine/machine.h"
#include "platform/engine.h"
#include "platform/guest_ram.h"
#include "time/record/check.h"
#include "time/record/memory_sums.h"

namespace ringside::time {

class Checker {
 public:
  // The engine is Recordable and Rewindable. RAM has what the run begins with. All outlive it.
  Checker(hypervisor::Engine& engine, machine::Machine& machine, const hypervisor::GuestRam& ram)
      : engine_(engine),
        machine_(machine),
        memory_(*engine.rewindable(), ram),
        pages_in_part_(time::pages_in_part(ram)) {}

  // Between two slices, in the present.
  Check take();
  MemorySums& memory() { return memory_; }
  std::uint64_t pages_in_part() const { return pages_in_part_; }

 private:
  hypervisor::Engine& engine_;
  machine::Machine& machine_;
  MemorySums memory_;
  std::uint64_t pages_in_part_;
};

}  // namespace ringside::time
