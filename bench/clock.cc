#include "clock.h"

#include <poll.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace ringside::bench {

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void let_run(double seconds) { ::poll(nullptr, 0, static_cast<int>(seconds * 1000)); }

namespace {

// Of all threads, the sum of a field of schedstat: 0 on a processor, 1 waiting for one (Linux's
// Documentation/scheduler/sched-stats.rst).
double sum_of_schedstat(pid_t process, unsigned field) {
  double nanoseconds = 0;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream stream(task.path() / "schedstat");
    double fields[2] = {};
    stream >> fields[0] >> fields[1];
    nanoseconds += fields[field];
  }
  return nanoseconds / 1e9;
}

}  // namespace

double processor_time(pid_t process) { return sum_of_schedstat(process, 0); }
double time_in_queue(pid_t process) { return sum_of_schedstat(process, 1); }

}  // namespace ringside::bench
