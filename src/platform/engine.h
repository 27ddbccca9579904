// A virtual machine that the program's main loop drives, as both engines are.
#pragma once

#include <optional>
#include <string_view>

#include "platform/controllers.h"
#include "platform/observable.h"
#include "platform/platform.h"
#include "platform/recordable.h"
#include "platform/rewindable.h"
#include "ringside/vm.h"

namespace ringside::hypervisor {

// A Vm that the main loop drives. Resumed vCPUs of the software CPU execute inside run_slice.
class Engine : public Vm {
 public:
  // As the option --engine has it.
  virtual std::string_view name() const = 0;
  // What the machine's devices may do to it.
  virtual CpuPort& cpus() = 0;
  // Runs for a bounded while (about 20 microseconds of work), until an event or the end. False when
  // there was nothing to run: every vCPU is out of the guest, halted or on its own thread, or one
  // of them waits for the host to take its output (Platform::takes_write) and the others for it.
  virtual bool run_slice() = 0;
  // Whether the next slice has something to do: a vCPU can run, or one was let in since the last
  // slice, or an event has not been taken. A resume, an input from outside or the end of a client
  // may come after a slice, so who is about to sleep asks here, and not what the slice had to do.
  // Never, for an engine whose vCPUs are on their own threads.
  virtual bool wants_slice() const { return false; }
  // When all vCPUs idle: the virtual time of the next device event (kNever: only outside input can
  // wake the guest). The main loop paces it to wall time and calls advance_to.
  virtual std::optional<VirtualTime> idle_until() const { return std::nullopt; }
  virtual void advance_to(VirtualTime) {}
  virtual VirtualTime now() const = 0;
  // Puts all vCPUs, and interrupt controllers that are the engine's, into the state of power-on:
  // the boot processor is in `entry`, the others are not active, no event is to come. Time goes on.
  // Busy unless every vCPU is out of the guest. Devices and RAM are the caller's, and come before.
  virtual Result<void> reset(const x86::CpuState& entry) = 0;

  // Null where no run is like another.
  virtual Recordable* recordable() { return nullptr; }
  // Null where the past is gone.
  virtual Rewindable* rewindable() { return nullptr; }
  // Null where nobody can look on at exact moments.
  virtual Observable* observable() { return nullptr; }
  // Null where the interrupt controllers are the machine's.
  virtual ControllerViews* controller_views() { return nullptr; }
};

}  // namespace ringside::hypervisor
