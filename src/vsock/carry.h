// The loop of the process that has the other ends of the guest's sockets, and what it does when the
// guest is gone. Neither is more than poll(2) around an exchange.
#pragma once

#include "vsock/exchange.h"

namespace ringside::vsock {

// Lets programs of the host in.
class Door {
 public:
  virtual ~Door() = default;
  // To be waited for; -1: nobody comes.
  virtual int descriptor() const = 0;
  virtual void open(Exchange& exchange) = 0;
};

enum class LineEnd : std::uint8_t {
  InOrder,  // the machine has ended, and all that the guest had sent is in the exchange
  Cut,
};

// Until the line ends. `caller`: of start_caller(), or -1; that it is gone is said on the line.
LineEnd carry(int line, Exchange& exchange, Door& door, int caller);

// The guest is gone. Gives programs of the host what it had sent, as they take it, but no longer
// than until then.
void give_what_is_left(Exchange& exchange, Clock::time_point until);

}  // namespace ringside::vsock
