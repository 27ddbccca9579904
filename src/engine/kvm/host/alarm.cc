#include "engine/kvm/host/alarm.h"

#include <unistd.h>

#include <csignal>

#include "base/log.h"
#include "engine/kvm/host/kick.h"

namespace ringside::kvm {

Alarm::Alarm() {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kick_signal();
  event._sigev_un._tid = ::gettid();
  armed_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
  if (!armed_) {
    log::error("kvm: no timer for a step");
    return;
  }
  constexpr long kMilliseconds = 2;
  const timespec period{0, kMilliseconds * 1'000'000};
  const itimerspec times{period, period};
  ::timer_settime(timer_, 0, &times, nullptr);
}

Alarm::~Alarm() {
  if (armed_) ::timer_delete(timer_);
}

}  // namespace ringside::kvm
