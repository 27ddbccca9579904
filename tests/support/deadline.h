// How long a test waits for what must happen. A test never sleeps; it waits for an event and gives
// up at a deadline, which is far beyond what a healthy run needs.
#pragma once

#include <chrono>

namespace ringside::testing {

// Stretched by RINGSIDE_TEST_PATIENCE (a factor) for sanitizers and slow machines; shortened by a
// fraction where the clock runs faster than the processor.
std::chrono::milliseconds patience(std::chrono::milliseconds wait);

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds wait = std::chrono::seconds(20))
      : end_(std::chrono::steady_clock::now() + patience(wait)) {}
  // Milliseconds left for poll(2), never negative.
  int left() const;
  bool passed() const { return left() == 0; }

 private:
  std::chrono::steady_clock::time_point end_;
};

// True once `fd` is readable (or at its end), false at the deadline.
bool wait_readable(int fd, const Deadline& deadline);

}  // namespace ringside::testing
