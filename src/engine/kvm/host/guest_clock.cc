#include "engine/kvm/host/guest_clock.h"

#include <algorithm>

namespace ringside::kvm {
namespace {

using Lock = std::lock_guard<std::mutex>;

}  // namespace

VirtualTime GuestClock::now_locked() const {
  if (in_guest_ == 0) return {before_};
  const std::chrono::nanoseconds running = Host::now() - started_;
  return {before_ + static_cast<std::uint64_t>(running.count())};
}

VirtualTime GuestClock::now() const {
  const Lock lock(lock_);
  return now_locked();
}

std::optional<GuestClock::Host::time_point> GuestClock::host_time(VirtualTime time) const {
  const Lock lock(lock_);
  if (in_guest_ == 0) return std::nullopt;
  if (time.ns <= before_) return started_;
  // More than a century ahead is never; the sum must not overflow the host's clock.
  constexpr std::uint64_t kCentury = 3'155'760'000'000'000'000;
  return started_ + std::chrono::nanoseconds(std::min(time.ns - before_, kCentury));
}

bool GuestClock::entered() {
  const Lock lock(lock_);
  if (in_guest_++ != 0) return false;
  started_ = Host::now();
  if (!first_started_) first_started_ = started_;
  const std::chrono::nanoseconds since = started_ - *first_started_;
  stood_ = since.count() - static_cast<std::int64_t>(before_);
  return true;
}

bool GuestClock::left() {
  const Lock lock(lock_);
  if (in_guest_ == 1) before_ = now_locked().ns;
  return --in_guest_ == 0;
}

}  // namespace ringside::kvm
