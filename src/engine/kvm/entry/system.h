// What all vCPUs of one machine share. Owned by the engine; each member says who may use it.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "engine/kvm/entry/run_gate.h"
#include "engine/kvm/host/exit_queue.h"
#include "engine/kvm/host/guest_clock.h"
#include "engine/kvm/host/kernel_controllers.h"
#include "engine/kvm/host/memory_slots.h"
#include "engine/kvm/host/probe.h"
#include "engine/kvm/watch/debug_slots.h"
#include "engine/kvm/watch/page_watch.h"
#include "platform/guest_ram.h"
#include "platform/platform.h"
#include "ringside/vm.h"

namespace ringside::kvm {

struct System {
  System(hypervisor::GuestRam& guest_ram, hypervisor::Platform& machine, const Facts& host)
      : ram(guest_ram), platform(machine), facts(host) {}

  hypervisor::GuestRam& ram;
  // Takes its own lock. It calls back (CpuPort) with that lock held; so nobody may call it while
  // holding a lock of the engine.
  hypervisor::Platform& platform;
  const Facts& facts;
  Fd kvm, vm;
  // KVM's own, if it has them and is to use them; otherwise they are the machine's.
  std::optional<KernelControllers> controllers;
  MemorySlots slots{vm};
  PageWatches pages{ram, slots};
  unsigned vcpus = 0;  // how many there are
  GuestClock clock;
  ExitQueue events;
  RunGate gate;

  std::atomic<hypervisor::StopFilter*> filter{nullptr};
  std::mutex stoppoints_lock;
  Stoppoints stoppoints;
  std::atomic<unsigned> stoppoints_generation{0};  // counts their changes

  // What vCPUs are caught at. Changed while all of them are out of the guest.
  std::vector<hypervisor::Catch> catches;

  // What devices have written that is watched, on no vCPU's thread: the first vCPU that sees it
  // reports it.
  std::mutex device_hits_lock;
  PageWatches::Hits device_hits;
  std::atomic<bool> device_hits_waiting{false};

  std::atomic<bool> ended{false};  // no vCPU enters the guest any more
  std::atomic<bool> stop_instead_of_death{false};
  // Any thread.
  std::function<void(hypervisor::VmEnd)> end;
  std::function<void()> clock_changed;  // the clock was started or stopped
  std::function<void()> halted;         // a vCPU sleeps with interrupts off
  std::function<void()> lost_power;     // a vCPU has, because the machine sleeps
  // A vCPU comes out of the guest: those that it has started are to say so before it does. Where
  // the local APICs are the kernel's.
  std::function<void()> note_started;
};

}  // namespace ringside::kvm
