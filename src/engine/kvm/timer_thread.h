// The thread that runs the machine's events when they are due, and does its devices' work while any
// vCPU is in the guest. Owned by the engine.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/kvm/entry/system.h"

namespace ringside::kvm {

class TimerThread {
 public:
  explicit TimerThread(System& system) : system_(system) {}
  ~TimerThread() { stop(); }
  TimerThread(const TimerThread&) = delete;
  // ---- The main thread
  void start();
  void stop();
  // ---- Any thread
  // A deadline or the clock has changed.
  void look_again();

 private:
  void run();
  bool is_clock_running() const;
  void wait(std::optional<GuestClock::Host::time_point> until);

  System& system_;
  std::mutex lock_;
  std::condition_variable wake_;
  bool changed_ = false;  // lock_
  bool quit_ = false;     // lock_
  std::thread thread_;
};

}  // namespace ringside::kvm
