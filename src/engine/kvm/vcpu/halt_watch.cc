#include "engine/kvm/vcpu/halt_watch.h"

#include <algorithm>

#include "engine/kvm/host/kick.h"
#include "engine/kvm/vcpu/vcpu.h"

namespace ringside::kvm {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kOften{50}, kSeldom{500};
constexpr std::chrono::microseconds kMoment{500};

}  // namespace

void HaltWatch::start() {
  used_.resize(vcpus_.size());
  thread_ = std::thread([this] { run(); });
}

void HaltWatch::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(lock_);
    quit_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void HaltWatch::run() {
  take_only_kicks();
  for (milliseconds interval = kOften; !system_.ended;) {
    {
      std::unique_lock lock(lock_);
      if (wake_.wait_for(lock, interval, [this] { return quit_; })) return;
    }
    if (system_.stop_instead_of_death || !all_idle()) {
      interval = kOften;
      continue;
    }
    if (halted_for_good()) system_.end(hypervisor::end_by_halt());
    interval = std::min(2 * interval, kSeldom);
  }
}

bool HaltWatch::all_idle() {
  bool idle = true;
  for (std::size_t i = 0; i < used_.size(); ++i) {
    const std::chrono::nanoseconds now = vcpus_[i]->thread().time_used();
    // Whoever only waits for the host's processor is not idle, and must not be held up either.
    idle &= now - used_[i] < kMoment && vcpus_[i]->thread().asleep();
    used_[i] = now;
  }
  return idle;
}

bool HaltWatch::halted_for_good() {
  const EverybodyOut out(system_.gate);
  return hypervisor::halted_for_good(vcpus_,
                                     [](const KvmVcpu& vcpu) { return vcpu.kernel_hope(); });
}

}  // namespace ringside::kvm
