// An optional ability of a Recordable engine: its machine can be put where it was before, and run
// from there again without anybody noticing but who asked for it.
//
// One thread, the one that calls Engine::run_slice, and between two slices.
#pragma once

#include <cstdint>

#include "platform/recordable.h"
#include "ringside/exit.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

// Keeps what RAM had. Called before the content of a page changes, at most once in an interval.
class PageKeeper {
 public:
  virtual ~PageKeeper() = default;
  virtual void keep(Gpa page, const std::uint8_t* content) = 0;
};

// Is told of hits during a travel: those that the StopFilter wants, and those that it says are its
// own. The run goes on in any case, unless it asks for the end of the slice.
class HitListener {
 public:
  virtual ~HitListener() = default;
  enum class Answer : std::uint8_t {
    GoOn,
    // The slice ends: before the instruction, at a breakpoint; after it, at a watchpoint.
    EndSlice,
  };
  virtual bool is_own(const Exit& /*exit*/) { return false; }
  // `before`: where the machine has to be for this hit to come next. Of a breakpoint that is now;
  // of a watchpoint, before the instruction, or the part of one, that has just been executed.
  virtual Answer hit(VcpuId vcpu, const Exit& exit, Progress before) = 0;
};

class Rewindable {
 public:
  virtual ~Rewindable() = default;

  // ---- RAM. ROM never changes. What a loader does is not seen.
  // From now on `keeper` is told, until it is forgotten. There may be several, and each has
  // intervals of its own.
  virtual void keep_pages(PageKeeper& keeper) = 0;
  virtual void forget_keeper(PageKeeper& keeper) = 0;
  // Every page is told of anew to this one.
  virtual void begin_interval(PageKeeper& keeper) = 0;
  // The caller has put another content into a page of RAM.
  virtual void page_replaced(Gpa page) = 0;

  // ---- Where the run is, beside what Recordable::visit_processors has
  // After loading: positions go on from here. The number of instructions is a part of the state.
  virtual void set_parts(std::uint64_t parts) = 0;
  // What this vCPU alone has done: instructions, interrupts and traps delivered, iterations of
  // string instructions that are not over. Only differences mean something, and only within one
  // way of running.
  virtual std::uint64_t steps_of(VcpuId vcpu) const = 0;
  virtual void set_steps(VcpuId vcpu, std::uint64_t steps) = 0;  // after loading

  // ---- Travels
  // While `listener` is not null, a slice runs every vCPU that is alive and that the imposed
  // supervision does not hold, in the guest or not; there are no events, no steps and no ends.
  virtual void travel(HitListener* listener) = 0;
  // The vCPUs in this set execute the instruction under a breakpoint that they stand on now.
  virtual void pass_breakpoints(std::uint64_t vcpus) = 0;
};

}  // namespace ringside::hypervisor
