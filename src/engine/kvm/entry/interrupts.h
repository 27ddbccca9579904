// Interrupts on their way into one vCPU. The machine's controllers raise a pin, are asked for a
// vector and have it injected here; with the kernel's controllers that happens inside KVM_RUN, and
// only what the debugger wants held back is seen to. Owned by the vCPU; the thread's, or under the
// lock while the vCPU is out.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "engine/kvm/entry/core.h"

namespace ringside::kvm {

class Interrupts {
 public:
  Interrupts(VcpuCore& core, VcpuThread& thread) : core_(core), thread_(thread) {}

  // ---- Any thread
  void set_pin(bool level);
  void raise_nmi();
  bool nmi_waits() const { return nmi_; }
  // Something waits that ends HLT.
  bool ends_halt() const { return nmi_ || (core_.interrupts_on && interrupt_waits()); }

  // ---- The thread, or under the lock
  // The vector that was acknowledged and has not been delivered.
  std::optional<std::uint8_t> held() const { return held_; }
  bool any_waits() const { return nmi_ || interrupt_waits(); }
  // Before each entry that may begin in a handler: injects what is due, and has KVM say when more
  // can be injected.
  void prepare();
  // Whether an interrupt can be injected now.
  bool window_open();
  void forget_window() { window_ = Window::Unknown; }
  void shut_window() { window_ = Window::Shut; }
  // False when the request has gone away.
  bool inject_interrupt();
  void inject_nmi();
  // Back from KVM_RUN.
  void note_run();
  // What KVM has taken and not yet delivered is to be held back: by us, or by a controller of the
  // kernel's.
  void withdraw();
  void give_back();
  // INIT: what waits is lost.
  void forget();
  void reset();

  // The task priority, as the platform and KVM know it.
  std::uint8_t task_priority() const { return task_priority_; }
  void take_task_priority();

 private:
  bool interrupt_waits() const { return pin_ || held_.has_value(); }

  VcpuCore& core_;
  VcpuThread& thread_;
  std::atomic<bool> pin_{false};
  std::atomic<bool> nmi_{false};
  std::optional<std::uint8_t> held_;  // acknowledged, not yet delivered
  std::uint8_t task_priority_ = 0;
  enum class Window : std::uint8_t { Unknown, Open, Shut } window_ = Window::Unknown;
};

}  // namespace ringside::kvm
