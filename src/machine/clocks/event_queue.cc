#include "machine/clocks/event_queue.h"

namespace ringside::machine {

unsigned EventQueue::add(EventSink& sink, unsigned code) {
  targets_.push_back({&sink, code});
  deadlines_.push_back(kNever);
  return static_cast<unsigned>(targets_.size() - 1);
}

void EventQueue::arm(unsigned slot, VirtualTime when) {
  deadlines_[slot] = when;
  if (when < next_) {
    next_ = when;
    next_slot_ = slot;
    cpus_.deadline_moved();
  } else if (slot == next_slot_ || when == next_) {
    find_next();
  }
}

void EventQueue::find_next() {
  next_ = kNever;
  next_slot_ = 0;
  for (unsigned slot = 0; slot < deadlines_.size(); ++slot) {
    if (deadlines_[slot] < next_) {
      next_ = deadlines_[slot];
      next_slot_ = slot;
    }
  }
}

void EventQueue::run(VirtualTime now) {
  while (next_ <= now && next_ != kNever) {
    const unsigned slot = next_slot_;
    const VirtualTime due = next_;
    deadlines_[slot] = kNever;
    find_next();
    targets_[slot].sink->run_event(targets_[slot].code, due);
  }
}

void EventQueue::visit_state(StateVisitor& visitor) {
  for (VirtualTime& deadline : deadlines_)
    visitor.field(deadline);
  if (visitor.loading()) {
    find_next();
    cpus_.deadline_moved();
  }
}

}  // namespace ringside::machine
