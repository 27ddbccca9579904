// A console at which somebody waits, and nothing comes: worth a word, because whoever sees nothing
// cannot tell a guest that has no driver for it from one that hangs. By the guest's own time, so
// that a slow host, a held guest and a stopped one are none of it.
#pragma once

#include <atomic>

#include "ringside/types.h"

namespace ringside::cli {

class Silence {
 public:
  static constexpr VirtualTime kLong{5'000'000'000};

  // The guest has said something. Any thread.
  void heard() { heard_.store(true, std::memory_order_relaxed); }
  // True once, when it has said nothing for long. One thread.
  bool has_become_long(VirtualTime now) {
    if (is_over_ || now < kLong) return false;
    is_over_ = true;
    return !heard_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> heard_ = false;
  bool is_over_ = false;
};

}  // namespace ringside::cli
