#include "engine/kvm/vcpu/system.h"
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {

void RunGate::close(const void* owner, const std::vector<KvmVcpu*>& all) {
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
  for (KvmVcpu* vcpu : all) {
    if (vcpu == owner || !vcpu->running_) continue;
    vcpu->kick();
    vcpu->running_.wait(true);
  }
}

void RunGate::open() {
  if (--times_closed_ != 0) return;
  owner_ = nullptr;
  owner_.notify_all();
  one_at_a_time_.unlock();
}

void RunGate::wait_until_open(const KvmVcpu& vcpu) {
  for (const void* owner = owner_; owner != nullptr && owner != &vcpu; owner = owner_) {
    kept_somebody_ = true;
    owner_.wait(owner);
  }
}

EverybodyOut::EverybodyOut(System& system) : gate_(system.gate) {
  const KvmVcpu* const mine = KvmVcpu::of_this_thread();
  gate_.close(mine != nullptr ? static_cast<const void*>(mine) : this, system.vcpus);
}

}  // namespace ringside::kvm
