// The interface between a debug server and a virtual machine. A debuggable Vm implements the pure
// functions here and of Vcpu and Memory, eleven in all; what it can do beyond that it offers as
// abilities, and a debugger is told of those that are there.
//
// Threads: everything is called on one thread, the one that serves the debugger. An engine with a
// thread for each vCPU hides them behind this.
//
// A vCPU is in the guest from resume() until its next event. It has exactly one event per resume:
// what happened in the guest, or exit::Parked after suspend(). An event that was already on its way
// when suspend() came is that event; no Parked follows.
#pragma once

#include <optional>

#include "ringside/breakpoints.h"
#include "ringside/catches.h"
#include "ringside/exit.h"
#include "ringside/extra_registers.h"
#include "ringside/memory.h"
#include "ringside/stop_filter.h"
#include "ringside/types.h"
#include "ringside/vcpu.h"
#include "ringside/watchpoints.h"

namespace ringside::hypervisor {

class Vm {
 public:
  virtual ~Vm() = default;

  // ---- What every engine has
  virtual unsigned vcpu_count() const = 0;  // at most kMaxVcpus, always the same
  virtual Vcpu& vcpu(VcpuId id) = 0;
  virtual Memory& memory() = 0;

  // Brings a vCPU out of the guest; its event comes through take_event. Without effect on one that
  // is out already, or not active. It need not be out when this returns.
  virtual void suspend(VcpuId id) = 0;
  // Lets a vCPU that is out of the guest run.
  virtual void resume(VcpuId id) = 0;
  // The next event, in the order in which they happened; nothing when there is none now.
  virtual std::optional<VcpuEvent> take_event() = 0;

  // ---- What most have
  // Readable when take_event may have something; -1 for an engine that runs on the caller's thread.
  virtual int event_fd() const { return -1; }
  // Set once the machine has ended.
  virtual const std::optional<VmEnd>& ended() const;
  // While on, a triple fault or engine error is exit::Dead on its vCPU, and a guest's panic
  // exit::GuestPanic; neither ends anything.
  virtual void stop_instead_of_death(bool /*on*/) {}

  // ---- Abilities: null where the engine has not got it, and always the same answer
  virtual Breakpoints* breakpoints() { return nullptr; }
  virtual PhysicalBreakpoints* physical_breakpoints() { return nullptr; }
  virtual SpareBreakpoints* spare_breakpoints() { return nullptr; }
  virtual Watchpoints* watchpoints() { return nullptr; }
  virtual PhysicalWatchpoints* physical_watchpoints() { return nullptr; }
  virtual Catches* catches() { return nullptr; }
  virtual FilteredStops* filtered_stops() { return nullptr; }
  virtual ExtraRegisters* extra_registers() { return nullptr; }
};

}  // namespace ringside::hypervisor
