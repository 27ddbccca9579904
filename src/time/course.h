// Runs a machine that is in its past along its recorded run: exactly to a place, with the inputs
// that came on the way. Owned by Travels; main thread.
#pragma once

#include <cstdint>
#include <optional>

#include "time/history.h"
#include "time/record/timeline.h"

namespace ringside::time {

class Course {
 public:
  Course(hypervisor::Engine& engine, Timeline& timeline, History& history)
      : engine_(engine),
        recordable_(*engine.recordable()),
        rewindable_(*engine.rewindable()),
        timeline_(timeline),
        history_(history) {}

  // In the present and in the past.
  Place here() const;
  std::uint64_t steps_of(VcpuId vcpu) const { return rewindable_.steps_of(vcpu); }
  // The first moment at which so many instructions are retired.
  Place place_of(InsnCount count) const;

  void go_to_mark(std::size_t index);
  void go_to_cut(std::size_t index);
  void add_cut() { history_.add_cut(here(), timeline_.supervision()); }
  // To the last mark or cut that is not behind `target`, if the machine is not between the two
  // already. There is a mark that is not behind it.
  void go_near(const Place& target);

  enum class Stride : std::uint8_t {
    Slice,
    Part,  // the least that there is: an instruction, or something that retires none
  };
  // Towards a place that is not behind: whether it is there. An error: the run is another one than
  // before.
  Result<bool> advance(const Place& target, Stride stride = Stride::Slice);

 private:
  bool approach(const Position& target, Stride stride);
  void arrived_at(const History::Mark& mark);

  hypervisor::Engine& engine_;
  hypervisor::Recordable& recordable_;
  hypervisor::Rewindable& rewindable_;
  Timeline& timeline_;
  History& history_;
  std::uint64_t inputs_ = 0;  // that have come before, while in the past
  unsigned stalls_ = 0;       // how often nothing has happened, in a row
};

}  // namespace ringside::time
