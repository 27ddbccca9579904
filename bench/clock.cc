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

double processor_time(pid_t process) {
  double nanoseconds = 0;
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream stream(task.path() / "schedstat");
    double on_processor = 0;
    stream >> on_processor;
    nanoseconds += on_processor;
  }
  return nanoseconds / 1e9;
}

}  // namespace ringside::bench
