// The guest's time: the host's monotonic clock, standing still while every vCPU is out of the
// guest, so that a debugger's pause costs the guest no timeouts. Owned by the engine; any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "ringside/types.h"

namespace ringside::kvm {

class GuestClock {
 public:
  using Host = std::chrono::steady_clock;

  VirtualTime now() const;
  // When the clock will show `time`, if it goes on running; nothing while it stands.
  std::optional<Host::time_point> host_time(VirtualTime time) const;

  // The number of vCPUs in the guest decides: the first one starts the clock, the last one stops
  // it. True when that changed whether it runs.
  bool entered();
  bool left();

  // How long the clock has stood since it first ran. Changes only when it is started.
  std::chrono::nanoseconds stood() const { return std::chrono::nanoseconds(stood_.load()); }

 private:
  VirtualTime now_locked() const;

  mutable std::mutex lock_;
  unsigned in_guest_ = 0;
  std::uint64_t before_ = 0;  // guest nanoseconds until the clock was last started
  Host::time_point started_;
  std::optional<Host::time_point> first_started_;
  std::atomic<std::int64_t> stood_{0};
};

}  // namespace ringside::kvm
