// KVM_RUN of one vCPU: into the guest and back, and nothing of what the exit means. Owned by the
// vCPU; its thread's.
#pragma once

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/device_accesses.h"
#include "engine/kvm/entry/guest_debug.h"
#include "engine/kvm/entry/interrupts.h"
#include "engine/kvm/host/tsc_offset.h"

namespace ringside::kvm {

class Entry {
 public:
  Entry(VcpuCore& core, VcpuThread& thread, Interrupts& interrupts, GuestDebug& debug,
        DeviceAccesses& devices, TscOffset tsc_offset)
      : core_(core),
        thread_(thread),
        interrupts_(interrupts),
        debug_(debug),
        devices_(devices),
        tsc_offset_(tsc_offset) {}

  // Until KVM leaves the guest. An errno; EINTR also when there is something to look at first.
  int run();
  // Has KVM complete the device access under way, and execute nothing. An errno, as of run().
  int complete_access();
  // While the vCPU is out, under the lock. KVM would complete a device access with what it finds in
  // the run page, and move RIP on: it does so now, and what it makes of the registers is dropped.
  // What a string instruction has yet to access is begun and dropped, too.
  void drop_access();

 private:
  int call();
  void note_run();

  VcpuCore& core_;
  VcpuThread& thread_;
  Interrupts& interrupts_;
  GuestDebug& debug_;
  DeviceAccesses& devices_;
  TscOffset tsc_offset_;
};

}  // namespace ringside::kvm
