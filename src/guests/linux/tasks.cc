#include "guests/linux/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/result.h"
#include "guests/linux/sleeping_task.h"

namespace ringside::guests {
namespace {

// TASK_COMM_LEN of Linux is 16; a layout that says more is not followed.
constexpr std::size_t kLongestComm = 64;

// As fs/proc/array.c names them: the lowest bit that is set.
char state_of(std::uint64_t state, std::uint32_t exit_state) {
  constexpr std::uint64_t kIdle = 0x402;  // TASK_UNINTERRUPTIBLE | TASK_NOLOAD
  constexpr std::uint64_t kEnded = 0x80;  // TASK_DEAD
  if ((exit_state & 0x20) != 0) return 'Z';
  if ((exit_state & 0x10) != 0) return 'X';
  if ((state & kIdle) == kIdle) return 'I';
  if ((state & 1) != 0) return 'S';
  if ((state & 2) != 0) return 'D';
  if ((state & 4) != 0) return 'T';
  if ((state & 8) != 0) return 't';
  if ((state & 0x40) != 0) return 'P';
  if ((state & kEnded) != 0) return 'X';
  return 'R';
}

class TaskReader {
 public:
  TaskReader(hypervisor::Vm& vm, const LinuxKernel& kernel, const TaskLayout& layout)
      : kernel_(kernel), layout_(layout) {
    for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
      if (const auto running = kernel.running({i})) running_.push_back({{i}, *running});
    }
  }

  std::optional<Task> read(Gva address) const {
    const KernelMemory& memory = kernel_.memory();
    const auto pid = memory.get<std::uint32_t>(address + layout_.pid.offset);
    const auto tgid = memory.get<std::uint32_t>(address + layout_.tgid.offset);
    const auto exit_state = layout_.exit_state
                                ? memory.get<std::uint32_t>(address + layout_.exit_state->offset)
                                : std::optional<std::uint32_t>(0);
    const auto comm = memory.text(address + layout_.comm.offset,
                                  std::min<std::size_t>(layout_.comm.size, kLongestComm));
    std::uint64_t state = 0;
    const bool has_state =
        memory.read(address + layout_.state.offset,
                    std::as_writable_bytes(std::span(&state, 1))
                        .first(std::min<std::size_t>(layout_.state.size, sizeof state)));
    if (!pid || !tgid || !exit_state || !comm || !has_state) return std::nullopt;
    Task task{address, *pid, *tgid, *comm, state_of(state, *exit_state), {}, {}, false};
    if (layout_.mm) {
      const auto mm = memory.pointer(address + layout_.mm->offset);
      task.is_kernels = mm && mm->value == 0;
    }
    for (const auto& [vcpu, running] : running_) {
      if (running.task != address) continue;
      task.vcpu = vcpu;
      task.cpu = running.cpu;
    }
    return task;
  }

  // Appends the tasks of a list that begins at `head`, whose nodes lie at `node` in them; all but
  // the owner of the head where that is one. Why it ended early, or nothing.
  template <typename Take>
  std::string walk(Gva head, std::uint32_t node, Take take) const {
    std::optional<Gva> next = kernel_.memory().pointer(head);
    for (std::size_t count = 0; next && *next != head; ++count) {
      if (count >= kMostTasks) return "the list has no end";
      const std::string why = take(*next - node);
      if (!why.empty()) return why;
      next = kernel_.memory().pointer(*next);
    }
    return next ? "" : "the list leads to memory that is not there";
  }

  std::optional<Gva> threads_of(Gva task) const {
    const auto signal = kernel_.memory().pointer(task + layout_.signal.offset);
    if (!signal || signal->value == 0) return std::nullopt;
    return *signal + layout_.thread_head.offset;
  }
  const std::vector<std::pair<VcpuId, LinuxKernel::Running>>& running() const { return running_; }

 private:
  const LinuxKernel& kernel_;
  const TaskLayout& layout_;
  std::vector<std::pair<VcpuId, LinuxKernel::Running>> running_;
};

}  // namespace

Result<TaskList> list_tasks(hypervisor::Vm& vm, const LinuxKernel& kernel, std::size_t most) {
  const TaskLayout& layout = TRY(kernel.tasks());
  if (!kernel.init_task()) {
    return fail(ErrorCode::NotFound,
                "the kernel's symbols have no init_task: it was built without CONFIG_KALLSYMS_ALL");
  }
  const TaskReader reader(vm, kernel, layout);
  TaskList list;
  std::unordered_set<std::uint64_t> seen;
  const auto take = [&](Gva address) -> std::string {
    if (!seen.insert(address.value).second) return "the list runs in a circle";
    if (list.tasks.size() >= most) return fmt::format("only the first {} are listed", most);
    const auto task = reader.read(address);
    if (!task) return "the list leads to memory that is not there";
    list.tasks.push_back(*task);
    return "";
  };
  for (const auto& [vcpu, running] : reader.running()) {
    const auto idle = reader.read(running.task);
    if (idle && idle->pid == 0) take(running.task);
  }
  list.cut_off =
      reader.walk(*kernel.init_task() + layout.tasks.offset, layout.tasks.offset, [&](Gva leader) {
        std::string why = take(leader);
        if (!why.empty()) return why;
        const auto threads = reader.threads_of(leader);
        // A task that ends may have none any more.
        if (!threads) return why;
        return reader.walk(*threads, layout.thread_node.offset, [&](Gva thread) {
          return thread == leader ? std::string() : take(thread);
        });
      });
  return list;
}

std::string describe_tasks(const TaskList& list, std::size_t most_lines) {
  std::string text =
      fmt::format("{:>7} {:>7} {:<5} {:>4} {}\n", "PID", "TGID", "STATE", "VCPU", "COMM");
  std::size_t lines = 0;
  for (const Task& task : list.tasks) {
    if (lines++ == most_lines) {
      text += fmt::format("and {} more\n", list.tasks.size() - most_lines);
      break;
    }
    text += fmt::format("{:>7} {:>7} {:<5} {:>4} {}\n", task.pid, task.tgid, task.state,
                        task.vcpu ? std::to_string(task.vcpu->value) : "-", task.comm);
  }
  if (!list.cut_off.empty()) text += "This is not all: " + list.cut_off + ".\n";
  return text;
}

Result<std::string> describe_task(hypervisor::Vm& vm, const LinuxKernel& kernel,
                                  std::uint32_t pid) {
  const TaskList list = TRY(list_tasks(vm, kernel));
  const auto found =
      std::ranges::find_if(list.tasks, [&](const Task& task) { return task.pid == pid; });
  if (found == list.tasks.end()) {
    std::string text = fmt::format("there is no task {}", pid);
    if (!list.cut_off.empty()) text += ", as far as can be seen: " + list.cut_off;
    return fail(ErrorCode::NotFound, std::move(text));
  }
  std::string text =
      fmt::format("{} {}: process {}, state {}, struct task_struct at {:#x}\n", found->pid,
                  found->comm, found->tgid, found->state, found->address.value);
  if (found->vcpu) {
    return text + fmt::format("vCPU {} runs it: its registers are those of thread {}\n",
                              found->vcpu->value, found->vcpu->value + 1);
  }
  return text + describe_sleep(kernel, *kernel.tasks(), *found);
}

Result<TaskTest> test_for(std::shared_ptr<const LinuxKernel> kernel, const TaskChoice& choice) {
  const TaskLayout layout = TRY(kernel->tasks());
  return TaskTest([kernel = std::move(kernel), layout, choice](VcpuId vcpu) {
    const auto running = kernel->running(vcpu);
    if (!running) return false;
    const KernelMemory& memory = kernel->memory();
    if (choice.pid) {
      const auto pid = memory.get<std::uint32_t>(running->task + layout.pid.offset);
      const auto tgid = memory.get<std::uint32_t>(running->task + layout.tgid.offset);
      return pid == choice.pid || tgid == choice.pid;
    }
    const auto comm = memory.text(running->task + layout.comm.offset,
                                  std::min<std::size_t>(layout.comm.size, kLongestComm));
    return comm == choice.comm;
  });
}

}  // namespace ringside::guests
