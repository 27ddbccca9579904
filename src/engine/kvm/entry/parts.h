// The parts of one vCPU that its steps and its thread's loop stand on, in the order in which they
// use each other. Owned by the vCPU; each part says whose it is.
#pragma once

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/device_accesses.h"
#include "engine/kvm/entry/entry.h"
#include "engine/kvm/entry/exceptions.h"
#include "engine/kvm/entry/exits.h"
#include "engine/kvm/entry/guest_debug.h"
#include "engine/kvm/entry/handover.h"
#include "engine/kvm/entry/interrupts.h"
#include "engine/kvm/entry/kernel_activity.h"
#include "engine/kvm/entry/page_accesses.h"
#include "engine/kvm/entry/passed_breakpoint.h"
#include "engine/kvm/entry/vcpu_thread.h"

namespace ringside::kvm {

struct EntryParts {
  EntryParts(System& system, VcpuId id, VcpuFile vcpu_file, const Identity& identity,
             TscOffset tsc_offset)
      : file(std::move(vcpu_file)),
        thread(handover, system.gate, file),
        core(system, id, file, thread, identity),
        entry(core, thread, interrupts, debug, devices, tsc_offset) {}

  VcpuFile file;
  Handover handover;
  VcpuThread thread;
  VcpuCore core;
  PassedBreakpoint passed{core};
  KernelActivity kernel_activity{core, passed};
  Interrupts interrupts{core, thread};
  Exceptions exceptions{core, kernel_activity, interrupts};
  GuestDebug debug{core};
  PageAccesses pages{core};
  DeviceAccesses devices{core, thread, interrupts, pages};
  Entry entry;
  Exits exits{core, entry, debug, exceptions, passed, pages, devices};
};

}  // namespace ringside::kvm
