// What a guest is told that sends packets of no connection: a reset for each, which waits until
// there is room for it. One thread at a time.
#pragma once

#include <deque>
#include <optional>

#include "machine/vsock/packet.h"

namespace ringside::vsock {

class Resets {
 public:
  // Nobody answers a reset, or there would be no end.
  void answer(const machine::VsockHeader& packet);
  // The next one to be told, if any.
  std::optional<machine::VsockHeader> take();
  void clear() { waiting_.clear(); }

 private:
  std::deque<machine::VsockHeader> waiting_;
};

}  // namespace ringside::vsock
