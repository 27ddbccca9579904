// Says on stderr how far something long is: once a second, and nothing in its first second. Main
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "base/stage.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {

class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Progress(std::function<Clock::time_point()> clock = Clock::now,
                    std::function<void(std::string_view line)> say = write_line);

  // Nothing is said of what has not begun, such as a pipe that nobody writes to.
  void at(const Stage& stage);

 private:
  std::function<Clock::time_point()> clock_;
  std::function<void(std::string_view)> say_;
  Clock::time_point said_;
};

}  // namespace ringside::cli
