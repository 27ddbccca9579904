#include "engine/kvm/timer_thread.h"

#include "engine/kvm/host/kick.h"

namespace ringside::kvm {

void TimerThread::start() {
  thread_ = std::thread([this] { run(); });
}

void TimerThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(lock_);
    quit_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void TimerThread::look_again() {
  {
    const std::lock_guard lock(lock_);
    changed_ = true;
  }
  wake_.notify_all();
}

void TimerThread::run() {
  take_only_kicks();
  for (;;) {
    {
      const std::lock_guard lock(lock_);
      if (quit_) return;
      changed_ = false;
    }
    if (system_.ended) {
      wait(std::nullopt);
      continue;
    }
    const bool works =
        system_.platform.has_work() && !system_.platform.awaits_input() && is_clock_running();
    if (works) system_.platform.work();
    const VirtualTime next = system_.platform.next_event();
    const auto due =
        next == kNever ? std::nullopt : system_.clock.host_time(next);  // none while it stands
    if (due && *due <= GuestClock::Host::now()) {
      system_.platform.run_events(system_.clock.now());
    } else if (!works) {
      wait(due);
    }
  }
}

bool TimerThread::is_clock_running() const {
  return system_.clock.host_time(VirtualTime{}).has_value();
}

void TimerThread::wait(std::optional<GuestClock::Host::time_point> until) {
  std::unique_lock lock(lock_);
  const auto changed = [this] { return changed_ || quit_; };
  if (until) {
    wake_.wait_until(lock, *until, changed);
  } else {
    wake_.wait(lock, changed);
  }
}

}  // namespace ringside::kvm
