// Conditions of breakpoints and watchpoints, asked inside an engine.
#pragma once

#include "ringside/exit.h"
#include "ringside/types.h"

namespace ringside::hypervisor {

// Given to an engine by the debug server. Asked at a hit of a breakpoint, watchpoint or catch
// of the engine, on the thread that runs the vCPU and before it leaves the guest: false goes on as
// if nothing had been there. This is what keeps a false condition inside the engine. It may read
// the vCPU and memory, and does not resume or suspend.
class StopFilter {
 public:
  virtual ~StopFilter() = default;
  virtual bool wants_stop(VcpuId vcpu, const Exit& exit) = 0;
  // There is something to be done in the main loop. Asked after a hit that did not count, by
  // engines with threads of their own, which wake that loop then, and on a journey
  // (TimeTravel::advance), whose slice ends then.
  virtual bool has_news() { return false; }
  // For engines that ask at exit::Breakpoint too. False there means that the vCPU goes on: it
  // executes the instruction under the debugger's int3, if that is what it met, between these two.
  // All other vCPUs are out of the guest for so long.
  virtual void uncover(VcpuId) {}
  virtual void cover(VcpuId) {}
};

// Implemented by an engine that asks. Without it every hit is an exit, and the debug server decides
// there: the same to a client, only slower where a condition is false.
class FilteredStops {
 public:
  virtual ~FilteredStops() = default;
  // Null (the state at the start): every hit stops. While every vCPU is out of the guest. The
  // filter outlives its use.
  virtual void set_filter(StopFilter* filter) = 0;
};

}  // namespace ringside::hypervisor
