// The range of Vcpu::step_within, as engines keep it and run control knows it.
#pragma once

#include "ringside/types.h"

namespace ringside::hypervisor {

// A step that ends at an address in [start, end) goes on with another.
struct StepRange {
  Gva start, end;
  constexpr bool contains(Gva pc) const { return start <= pc && pc < end; }
  friend bool operator==(const StepRange&, const StepRange&) = default;
};

}  // namespace ringside::hypervisor
