#include "engine/kvm/step/range_steps.h"

namespace ringside::kvm {
namespace {

using Host = std::chrono::steady_clock;

// Of stepping, and then of what the others get.
constexpr std::chrono::milliseconds kTurn{1};

}  // namespace

bool RangeSteps::goes_on() {
  if (!core_.monitor_trap || !range_ || core_.activity != Activity::Running) return false;
  if (!core_.registers.load(RegisterFile::kGeneral)) return false;
  return range_->contains({core_.registers.general().rip});
}

// Most steps keep the others out of the guest, and begin sooner after the last one than a thread
// wakes up: what the stepped code waits for might never come.
void RangeSteps::let_others_run() {
  if (Host::now() - others_ran_ < kTurn) return;
  if (core_.system.gate.has_kept_somebody()) {
    Handover::Lock lock = handover_.lock();
    handover_.wait_for(lock, kTurn,
                       [&] { return handover_.requests(lock).any() || core_.system.ended; });
  }
  others_ran_ = Host::now();
}

}  // namespace ringside::kvm
