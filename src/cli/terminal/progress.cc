#include "cli/terminal/progress.h"

#include <utility>

namespace ringside::cli {
namespace {

constexpr std::chrono::seconds kBetweenLines{1};

// A little of a guest's memory is not there, where the PC has its screen.
std::uint64_t mebibytes(std::uint64_t bytes) { return (bytes + (1u << 19)) >> 20; }

}  // namespace

Progress::Progress(std::function<Clock::time_point()> clock,
                   std::function<void(std::string_view line)> say)
    : clock_(std::move(clock)), say_(std::move(say)), said_(clock_()) {}

void Progress::at(const Stage& stage) {
  const Clock::time_point now = clock_();
  if (stage.done == 0 || now - said_ < kBetweenLines) return;
  said_ = now;
  say_(stage.total == 0 ? fmt::format("{}: {} MiB", stage.what, mebibytes(stage.done))
                        : fmt::format("{}: {} of {} MiB", stage.what, mebibytes(stage.done),
                                      mebibytes(stage.total)));
}

}  // namespace ringside::cli
