// What every device of the PC is. Devices are owned by Machine, live as long as it does, and are
// called on whichever thread holds the machine's lock; none has a thread or a clock of its own.
// Whoever looks from outside uses the peeks of bus.h, which change nothing that visit_state shows.
#pragma once

#include "base/state_visitor.h"

namespace ringside::machine {

class Device {
 public:
  virtual ~Device() = default;
  // To the state after power-on. Runs again at a reset; constructors leave this state too.
  virtual void reset() = 0;
  // Every field that the guest can notice, in a fixed order.
  virtual void visit_state(StateVisitor& visitor) = 0;
};

}  // namespace ringside::machine
