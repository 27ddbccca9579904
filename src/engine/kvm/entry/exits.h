// What it means that KVM has left the guest: an event for the debugger, something that is done at
// once, or the end. Owned by the vCPU; its thread's.
//
// Functions that may give an event give nothing when the guest can go on, or when the machine has
// ended.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/device_accesses.h"
#include "engine/kvm/entry/entry.h"
#include "engine/kvm/entry/exceptions.h"
#include "engine/kvm/entry/guest_debug.h"
#include "engine/kvm/entry/page_accesses.h"
#include "engine/kvm/entry/passed_breakpoint.h"

namespace ringside::kvm {

class Exits {
 public:
  Exits(VcpuCore& core, Entry& entry, GuestDebug& debug, Exceptions& exceptions,
        PassedBreakpoint& passed, PageAccesses& pages, DeviceAccesses& devices)
      : core_(core),
        entry_(entry),
        debug_(debug),
        exceptions_(exceptions),
        passed_(passed),
        pages_(pages),
        devices_(devices) {}

  // What the run page says.
  std::optional<Exit> handle();
  // KVM_RUN has failed.
  std::optional<Exit> handle_failure(int error);
  // At an int3 that is no part of a step of the engine: the debugger's, or the guest's own.
  std::optional<Exit> at_int3(std::uint8_t length);
  // At the debug registers that DR6 names, as GuestDebug::slots() has them.
  std::optional<Exit> at_slots(std::uint64_t dr6);

  // A device access that KVM has not completed yet would show the instruction half done.
  std::optional<Exit> finish_access();
  // The first hit of watched pages that counts, once the instruction is complete.
  std::optional<Exit> settle_page_hits();

  // An access to a debug register is to be executed, by a step, after which there may be other
  // slots.
  bool is_at_debug_access() const { return at_debug_access_; }
  // A step has ended, at `rip`, if that is known.
  void note_step(std::optional<Gva> rip);

 private:
  std::optional<Exit> at_debug();
  std::optional<Exit> at_internal_error();
  bool is_left_behind(std::uint64_t dr6);

  VcpuCore& core_;
  Entry& entry_;
  GuestDebug& debug_;
  Exceptions& exceptions_;
  PassedBreakpoint& passed_;
  PageAccesses& pages_;
  DeviceAccesses& devices_;
  bool at_debug_access_ = false;
  std::optional<Gva> stepped_to_;  // where the last step ended, until the guest runs
};

}  // namespace ringside::kvm
