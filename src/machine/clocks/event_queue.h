// Virtual-time events. A timer is a slot with a deadline, made once while the machine is built, so
// that the queue is plain data: a list of deadlines in the order of construction. Due events run by
// deadline, then by slot; that order is part of the machine's determinism.
#pragma once

#include <cstdint>
#include <vector>

#include "base/state_visitor.h"
#include "platform/platform.h"
#include "ringside/types.h"

namespace ringside::machine {

class EventSink {
 public:
  virtual ~EventSink() = default;
  // `due` is when the event was meant to be; the CPUs' time may already be later. The timer is
  // disarmed before the call.
  virtual void run_event(unsigned code, VirtualTime due) = 0;
};

class EventQueue {
 public:
  explicit EventQueue(hypervisor::CpuPort& cpus) : cpus_(cpus) {}
  EventQueue(const EventQueue&) = delete;

  unsigned add(EventSink& sink, unsigned code);
  void arm(unsigned slot, VirtualTime when);
  VirtualTime due(unsigned slot) const { return deadlines_[slot]; }

  VirtualTime next() const { return next_; }
  // Runs what is due at `now`. A sink must re-arm later than `now`, or this does not end.
  void run(VirtualTime now);
  void visit_state(StateVisitor& visitor);

 private:
  struct Target {
    EventSink* sink = nullptr;
    unsigned code = 0;
  };
  void find_next();

  hypervisor::CpuPort& cpus_;
  std::vector<Target> targets_;
  std::vector<VirtualTime> deadlines_;  // kNever: disarmed
  VirtualTime next_ = kNever;           // derived
  unsigned next_slot_ = 0;              // derived
};

// One slot, held by the device that owns the event.
class Timer {
 public:
  Timer(EventQueue& queue, EventSink& sink, unsigned code = 0)
      : queue_(queue), slot_(queue.add(sink, code)) {}
  void arm(VirtualTime when) { queue_.arm(slot_, when); }
  void cancel() { queue_.arm(slot_, kNever); }
  bool armed() const { return due() != kNever; }
  VirtualTime due() const { return queue_.due(slot_); }

 private:
  EventQueue& queue_;
  unsigned slot_;
};

}  // namespace ringside::machine
