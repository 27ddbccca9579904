// What this host's KVM really does, found by running a tiny guest. KVM is not one thing: some hosts
// interpret ring 0, some cannot intercept #BP, some never report data watchpoints. The engine picks
// its mechanisms from this, `--engine auto` decides by it, and tests skip by it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ringside::kvm {

struct Facts {
  bool usable = false;          // a vCPU ran at all
  std::string reason;           // why not
  bool hardware_ring0 = false;  // ring 0 at hardware speed, not interpreted
  double ring0_mips = 0;
  bool int3_exit = false;              // a planted int3 in ring 0 is reported as a debug exit
  bool int3_as_error = false;          // …or as an emulation failure with RIP on it
  bool step = false;                   // single-step
  bool execute_slot = false;           // debug register on execution
  bool write_watch = false;            // debug register on a write
  bool access_watch = false;           // debug register on a read or write
  bool page_watch = false;             // accesses to pages that this process may not touch
  bool block_interrupts = false;       // KVM_GUESTDBG_BLOCKIRQ
  bool sync_registers = false;         // KVM_CAP_SYNC_REGS
  bool immediate_exit = false;         // KVM_CAP_IMMEDIATE_EXIT
  bool interrupt_controllers = false;  // in-kernel APICs and PIC, their lines routed at will
  bool timer = false;                  // in-kernel PIT
  bool starts_processors = false;      // the in-kernel APIC obeys INIT and start-up IPIs
  bool tsc_deadline = false;           // its timer has the TSC-deadline mode
  bool tsc_offset = false;             // the time-stamp counter's can be set
  bool five_level_paging = false;      // announced, and a guest has switched it on

  // Good enough for `auto`: hardware speed, breakpoints and stepping.
  bool fit_for_auto() const { return usable && hardware_ring0 && int3_exit && step; }
};

// Never fails: what does not work is in the facts. Takes a few milliseconds on hardware, up to some
// tens where ring 0 is interpreted.
Facts probe(const char* device = "/dev/kvm");
// The same, found out once.
const Facts& host_facts();
// One line a fact, for `ringside --probe`.
std::vector<std::string> describe(const Facts& facts);

}  // namespace ringside::kvm
