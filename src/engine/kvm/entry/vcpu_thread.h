// The host's thread of one vCPU: its beginning and end, how other threads call it out of KVM_RUN,
// and what the host can say of it. What the thread does is none of its business. Owned by the vCPU.
#pragma once

#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <thread>

#include "engine/kvm/entry/handover.h"
#include "engine/kvm/entry/run_gate.h"
#include "engine/kvm/host/api.h"

namespace ringside::kvm {

class VcpuThread {
 public:
  // Adds itself to the gate's threads.
  VcpuThread(Handover& handover, RunGate& gate, VcpuFile& file);
  ~VcpuThread() { stop(); }
  VcpuThread(const VcpuThread&) = delete;
  // Which one is running this; null on the engine's other threads.
  static VcpuThread* of_this_thread();

  // ---- The main thread
  void start(std::function<void()> body);
  // Asks the thread to end and waits for it.
  void stop();

  // ---- Any thread
  // Makes the thread look at what is asked of it. The request is made before.
  void kick();
  // Returns when the thread is out of KVM_RUN. Only the gate, which keeps it from entering again.
  void call_out();
  // The processor time that the thread has used; it stands still in HLT inside KVM_RUN.
  std::chrono::nanoseconds time_used() const;
  bool asleep() const;  // as the host sees it

  // ---- The thread itself
  // Everything that was asked for until now is going to be looked at.
  void looks() { attention_ = false; }
  // Before and after KVM_RUN. False when there is something to look at first, and then KVM_RUN must
  // not be called. Waits for the gate.
  bool begin_run();
  void end_run();

 private:
  Handover& handover_;
  RunGate& gate_;
  kvm_run& run_;
  std::atomic<bool> attention_{false};  // something was asked for since the thread last looked
  std::atomic<bool> running_{false};    // in KVM_RUN, or about to
  // The file that says whether it sleeps, open because the process may lose the right to open it.
  static constexpr int kNotYet = -2;
  std::atomic<int> stat_{kNotYet};
  Fd stat_file_;
  clockid_t processor_clock_ = CLOCK_MONOTONIC;  // the thread's
  std::thread thread_;
};

// KVM_RUN returns at once while this is set. Any thread may set it.
std::atomic_ref<std::uint8_t> immediate_exit(kvm_run& run);

}  // namespace ringside::kvm
