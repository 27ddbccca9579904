// A machine that can be where it was before (ServerOptions::time_travel). A debugger sends the
// machine on a journey through its own run, backwards or, when it is in its past, forwards again.
//
// Everything is called on the thread that serves the debugger, while every vCPU is out of the guest
// as far as Vm::resume and events go: on a journey vCPUs execute without either. Its end is told by
// an Arrival instead.
//
// Positions are moments of the run. Each has one state, however often and from where the machine
// comes to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ringside/exit.h"
#include "ringside/result.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

struct Journey {
  enum class Direction : std::uint8_t { Back, Forward };
  enum class Until : std::uint8_t {
    Hit,        // a breakpoint or watchpoint that counts (StopFilter)
    Step,       // or `vcpu` has executed an instruction; backwards: is before its last one
    StepRange,  // or `vcpu` has left [range_start, range_end) by it; only forwards
  };
  Direction direction = Direction::Back;
  Until until = Until::Hit;
  VcpuId vcpu;
  Gva range_start, range_end;
  // Only forwards, by vCPU number: who executes the instruction under a breakpoint that it stands
  // on when the journey begins. The others hit theirs. Backwards, what is at the start does not
  // count, because it is not before it.
  std::uint64_t passes = 0;
};

struct Arrival {
  enum class Reason : std::uint8_t {
    // Forwards: as the exit of such a hit is in the present. Backwards: the last one before the
    // start. A breakpoint's instruction is not executed; a watchpoint's has not been executed
    // either, so that memory has the old value.
    Hit,
    Stepped,
    Begin,    // backwards: there is no earlier position
    End,      // forwards: a recorded run is over, and there is no later position
    Present,  // forwards: what comes next has not happened yet; the machine may be resumed
    GivenUp,  // by give_up()
  };
  Reason reason = Reason::Begin;
  VcpuId vcpu;              // of Hit and Stepped
  std::optional<Exit> hit;  // HardwareBreakpoint, Watchpoint or PhysicalWatchpoint
  std::string words;        // what else the user is to read: what commands have printed on the way
};

class TimeTravel {
 public:
  virtual ~TimeTravel() = default;
  // The machine is where something has happened afterwards. It is not to be resumed then (but by
  // journeys), and what would change it is refused with why_fixed().
  virtual bool in_past() const = 0;
  // Why registers, memory and devices cannot be changed now; nothing: they can.
  virtual std::optional<std::string> why_fixed() const = 0;
  // The machine follows a recorded run, and is in the present, where that run ends: whoever would
  // have it go on is told so instead.
  virtual bool is_at_end() const { return false; }

  // Every vCPU is out of the guest. One journey at a time.
  virtual Result<void> set_out(const Journey& journey) = 0;
  // Travels for about a millisecond; where it has come to once it is there. An error leaves the
  // machine at a position. A journey that return_to_present() has ended was given up.
  virtual std::optional<Result<Arrival>> advance() = 0;
  // Ends the journey at a position between its start and the end that it would have had.
  virtual Arrival give_up() = 0;
  // Nobody looks at the past any more. Also ends a journey. Without effect in the present.
  virtual Result<void> return_to_present() = 0;
};

}  // namespace ringside::hypervisor
