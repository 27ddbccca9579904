#include "support/deadline.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace ringside::testing {

std::chrono::milliseconds patience(std::chrono::milliseconds wait) {
  static const double factor = [] {
    const char* text = std::getenv("RINGSIDE_TEST_PATIENCE");
    const double given = text == nullptr ? 0 : std::atof(text);
    return given > 0 ? given : 1.0;
  }();
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(static_cast<double>(wait.count()) * factor));
}

int Deadline::left() const {
  const auto now = std::chrono::steady_clock::now();
  if (now >= end_) return 0;
  return static_cast<int>(
      std::chrono::duration_cast<std::chrono::milliseconds>(end_ - now).count() + 1);
}

bool wait_readable(int fd, const Deadline& deadline) {
  for (;;) {
    pollfd entry{fd, POLLIN, 0};
    const int ready = ::poll(&entry, 1, deadline.left());
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return true;  // the read that follows reports it
  }
}

}  // namespace ringside::testing
