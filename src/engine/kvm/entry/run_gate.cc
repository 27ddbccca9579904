#include "engine/kvm/entry/run_gate.h"

#include "engine/kvm/entry/vcpu_thread.h"

namespace ringside::kvm {

void RunGate::close(const void* owner) {
  if (owner_ == owner) {
    ++times_closed_;
    return;
  }
  if (!one_at_a_time_.try_lock()) {
    kept_somebody_ = true;
    one_at_a_time_.lock();
  }
  owner_ = owner;
  times_closed_ = 1;
  for (VcpuThread* thread : threads_) {
    if (thread != owner) thread->call_out();
  }
}

void RunGate::open() {
  if (--times_closed_ != 0) return;
  owner_ = nullptr;
  owner_.notify_all();
  one_at_a_time_.unlock();
}

void RunGate::wait_until_open(const VcpuThread& thread) {
  for (const void* owner = owner_; owner != nullptr && owner != &thread; owner = owner_) {
    kept_somebody_ = true;
    owner_.wait(owner);
  }
}

EverybodyOut::EverybodyOut(RunGate& gate) : gate_(gate) {
  const VcpuThread* const mine = VcpuThread::of_this_thread();
  gate_.close(mine != nullptr ? static_cast<const void*>(mine) : this);
}

}  // namespace ringside::kvm
