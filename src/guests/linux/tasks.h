// The tasks of a guest's Linux: its processes and their threads, and what a sleeping one will do
// next.
//
// While every vCPU is out of the guest. Lists in a guest may be without end, or run in circles:
// each walk has a bound and says where it gave up.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guests/linux/linux_kernel.h"

namespace ringside::guests {

struct Task {
  Gva address;
  std::uint32_t pid = 0, tgid = 0;
  std::string comm;
  char state = '?';                  // as ps shows it
  std::optional<VcpuId> vcpu;        // that runs it
  std::optional<std::uint32_t> cpu;  // the same, as Linux counts
  bool is_kernels = false;           // no process's memory is its own
};

struct TaskList {
  std::vector<Task> tasks;  // idle tasks only where a vCPU runs them
  std::string cut_off;      // why there may be more; empty: that was all
};

inline constexpr std::size_t kMostTasks = 16'384;

Result<TaskList> list_tasks(hypervisor::Vm& vm, const LinuxKernel& kernel,
                            std::size_t most = kMostTasks);

// For `monitor tasks` and `monitor task PID`.
std::string describe_tasks(const TaskList& list, std::size_t most_lines);
Result<std::string> describe_task(hypervisor::Vm& vm, const LinuxKernel& kernel, std::uint32_t pid);

// Which task a breakpoint is for: threads of a process, or what is called so.
struct TaskChoice {
  std::optional<std::uint32_t> pid;
  std::string comm;
};
// Whether a vCPU is in such a task now. False where that cannot be seen.
using TaskTest = std::function<bool(VcpuId)>;
Result<TaskTest> test_for(std::shared_ptr<const LinuxKernel> kernel, const TaskChoice& choice);

}  // namespace ringside::guests
