// Watched pages in one step: they are opened where the instruction has to reach them, with nobody
// else in the guest, and what it accesses meanwhile is noted from its bytes, because KVM does not
// ask. A part of the step, on its vCPU's thread.
#pragma once

#include "engine/kvm/code/gates.h"
#include "engine/kvm/entry/core.h"
#include "engine/kvm/entry/page_accesses.h"

namespace ringside::kvm {

class StepPages {
 public:
  StepPages(VcpuCore& core, PageAccesses& pages)
      : core_(core), pages_(pages), watching_(core.system.pages.any()) {}
  ~StepPages() { close(); }
  StepPages(const StepPages&) = delete;

  bool watching() const { return watching_; }
  // Before the instruction at `start`, with General and System loaded.
  void note_accesses(Gva start);
  // For as long as the vCPU is in the guest.
  void open();
  void close();
  bool is_open() const { return open_; }
  // After the instruction. `handler`: a handler was entered instead of it; or null.
  void settle(const EntryPoint* handler);

 private:
  void note(const std::vector<MemoryAccess>& accesses);

  VcpuCore& core_;
  PageAccesses& pages_;
  const bool watching_;
  bool open_ = false;
  bool was_open_ = false;    // so that KVM did not ask for the accesses
  PageAccesses::Hits hits_;  // of those
};

}  // namespace ringside::kvm
