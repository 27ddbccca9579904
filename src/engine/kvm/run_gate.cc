#include "engine/kvm/system.h"
#include "engine/kvm/vcpu.h"

namespace ringside::kvm {

void RunGate::close(KvmVcpu& except, const std::vector<KvmVcpu*>& all) {
  if (owner_ == &except) {
    ++times_closed_;
    return;
  }
  one_at_a_time_.lock();
  owner_ = &except;
  times_closed_ = 1;
  for (KvmVcpu* vcpu : all) {
    if (vcpu == &except || !vcpu->running_) continue;
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

void RunGate::wait_until_open(const KvmVcpu& vcpu) const {
  for (KvmVcpu* owner = owner_; owner != nullptr && owner != &vcpu; owner = owner_)
    owner_.wait(owner);
}

}  // namespace ringside::kvm
