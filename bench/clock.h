// Time for measures: wall time, and the processor time of a child, which other work on the machine
// does not lengthen.
#pragma once

#include <sys/types.h>

#include <chrono>

namespace ringside::bench {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start);
// Waits while a guest works by itself.
void let_run(double seconds);
// Of all threads of a process since it started, in seconds.
double processor_time(pid_t process);
// How long its threads were ready and waited for a processor, in seconds.
double time_in_queue(pid_t process);

// Calls `action` for a while; how often per second.
template <typename Action>
double rate(double seconds, Action action) {
  for (int i = 0; i < 10; ++i)
    action();
  const auto start = Clock::now();
  int count = 0;
  do {
    action();
    ++count;
  } while (since(start) < seconds);
  return count / since(start);
}

}  // namespace ringside::bench
