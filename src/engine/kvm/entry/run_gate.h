// Who may be in KVM_RUN. Owned by the engine.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

namespace ringside::kvm {

class VcpuThread;

// Keeps all vCPUs but one out of the guest for the moments in which there are bytes in guest memory
// that are meant for that one alone; or all of them, while somebody looks at what only a vCPU that
// is out shows. Any thread, but not one that holds the machine's lock: a vCPU that steps may need
// that before it opens.
class RunGate {
 public:
  // Before the first thread starts.
  void add(VcpuThread& thread) { threads_.push_back(&thread); }
  // Waits until every thread but `owner` is out of KVM_RUN, and keeps them out until open(). An
  // owner that is none of the threads keeps out all. Whoever has closed it may do so again.
  void close(const void* owner);
  void open();
  bool closed_to(const VcpuThread& thread) const {
    const void* owner = owner_.load();
    return owner != nullptr && owner != &thread;
  }
  bool closed() const { return owner_.load() != nullptr; }
  void wait_until_open(const VcpuThread& thread);
  // Whether somebody has had to wait since the last call. Who closes it again and again, and opens
  // it for moments only, gives the others time then.
  bool has_kept_somebody() { return kept_somebody_.exchange(false); }
  // While the returned lock is held nobody else closes it, so that no int3 in guest memory is taken
  // away for a single vCPU.
  std::unique_lock<std::recursive_mutex> keep(const VcpuThread& thread) {
    if (owner_ == &thread) return {};
    return std::unique_lock(one_at_a_time_);
  }

 private:
  std::vector<VcpuThread*> threads_;
  std::recursive_mutex one_at_a_time_;  // who keeps it may close it
  std::atomic<const void*> owner_{nullptr};
  unsigned times_closed_ = 0;  // by the owner
  std::atomic<bool> kept_somebody_{false};
};

// While there is one, no vCPU is in KVM_RUN. Also for a vCPU's own thread, when it is out.
class EverybodyOut {
 public:
  explicit EverybodyOut(RunGate& gate);
  ~EverybodyOut() { gate_.open(); }
  EverybodyOut(const EverybodyOut&) = delete;

 private:
  RunGate& gate_;
};

}  // namespace ringside::kvm
