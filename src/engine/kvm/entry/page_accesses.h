// Watchpoints by page protection, as one vCPU meets them. A processor that is kept from a page
// leaves KVM_RUN with the instruction yet to be executed: it is stepped with the pages open. Where
// KVM emulates the instruction, it asks for the access as for one to a device. Owned by the vCPU;
// its thread's.
#pragma once

#include <cstdint>

#include "engine/kvm/entry/core.h"

namespace ringside::kvm {

class PageAccesses {
 public:
  using Hits = PageWatches::Hits;
  explicit PageAccesses(VcpuCore& core) : core_(core) {}

  // KVM_RUN's error for a page that this process may not touch. A step that has them open makes
  // none.
  bool blocks(int error) const;
  // An access to a protected page is to be executed, with the page open and nobody else about.
  bool is_blocked() const { return blocked_; }
  void set_blocked(bool blocked) { blocked_ = blocked; }
  // An instruction that KVM could not emulate may have left an undefined-opcode exception behind.
  void drop_failed_instruction();

  // One access that KVM asks for. False: it is none of memory.
  bool access(Gpa address, std::uint8_t* data, unsigned width, bool write);

  // Of the instruction under way, also what it is caught at.
  void note(const Hits& hits);
  void note_halt();
  bool has_hits() const { return !hits_.empty(); }
  Hits take_hits();
  void forget_hits() { hits_.clear(); }
  // What devices have written that is watched, while no vCPU's thread was there to report it.
  void take_device_hits();
  void reset();

 private:
  VcpuCore& core_;
  Hits hits_;
  bool blocked_ = false;
};

}  // namespace ringside::kvm
