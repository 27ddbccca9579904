#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "guests/linux/code_data.h"
#include "guests/linux/layout_search.h"

namespace ringside::guests {
namespace {

constexpr std::uint32_t kLargestTask = 32 << 10, kCommSize = 16;
constexpr std::size_t kMostSteps = 20'000;  // along lists, together
constexpr std::size_t kMostSeen = 64;       // tasks that are compared
constexpr std::uint32_t kMostBeforeHead = 256;

// A task's bytes up to its stack pointer, the last member that is asked for.
struct SeenTask {
  Gva address;
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> words;

  std::uint32_t half(std::uint32_t at) const {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  std::string_view text(std::uint32_t at) const {
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return all.substr(at, std::min<std::size_t>(kCommSize, all.find('\0', at) - at));
  }
};

class TaskSearch {
 public:
  TaskSearch(const KernelMemory& memory, const Kallsyms& symbols, Gva init_task)
      : memory_(memory), symbols_(symbols), init_{init_task, {}, {}} {}

  // What was not found; empty: all was.
  std::string_view run() {
    if (!find_stack_pointer()) return "thread.sp";
    if (!read(init_)) return "init_task";
    if (!find_comm()) return "comm";
    if (!find_state()) return "__state";
    if (!find_tasks()) return "tasks: kthreadd, the kernel's second task, is not there yet";
    if (!find_numbers()) return "pid";
    if (!find_stack()) return "stack";
    if (!find_threads()) return "signal";
    find_exit_state();
    return "";
  }
  const TaskLayout& layout() const { return layout_; }

 private:
  std::uint32_t word() const { return size_of(memory_.word()); }
  Btf::Place pointer_at(std::uint32_t offset) const { return {offset, word(), 1}; }

  bool read(SeenTask& task) const {
    auto bytes = memory_.read(task.address, size_);
    if (!bytes) return false;
    task.bytes = *std::move(bytes);
    task.words = words_in(task.bytes, memory_.word());
    return true;
  }
  bool all(auto&& test) const { return std::ranges::all_of(seen_, test); }

  bool find_stack_pointer() {
    const auto function = symbols_.address("__switch_to_asm");
    const auto offset = function ? displacement_of_stack_switch(memory_, *function) : std::nullopt;
    if (!offset || *offset > kLargestTask || *offset % word() != 0) return false;
    layout_.stack_pointer = pointer_at(*offset);
    size_ = *offset + word();
    return true;
  }

  bool find_comm() {
    constexpr std::string_view kIdle = "swapper";
    const std::string_view all(reinterpret_cast<const char*>(init_.bytes.data()),
                               init_.bytes.size());
    const std::size_t at = all.find(kIdle);
    if (at == all.npos || all.size() - at < kCommSize) return false;
    layout_.comm = {static_cast<std::uint32_t>(at), kCommSize, kCommSize};
    return true;
  }

  // Two functions that each set it to a constant agree on where it is.
  bool find_state() {
    const auto sleeps = symbols_.address("schedule_timeout_interruptible");
    const auto waits = symbols_.address("schedule_timeout_uninterruptible");
    if (!sleeps || !waits) return false;
    const auto offset = displacement_of_store(memory_, *sleeps, 1);
    if (!offset || offset != displacement_of_store(memory_, *waits, 2) || *offset >= size_)
      return false;
    layout_.state = {*offset, 4, 1};
    return true;
  }

  // The list that leads from task to task, among them kthreadd, and back. Of names no more is
  // asked: programs choose theirs.
  bool find_tasks() {
    for (std::uint32_t at = 0; at + 2 * word() <= size_; at += word()) {
      if (!walk(at)) continue;
      layout_.tasks = {at, 2 * word(), 1};
      return true;
    }
    return false;
  }
  bool walk(std::uint32_t node) {
    const Gva head = init_.address + node;
    seen_.clear();
    std::optional<std::size_t> second;
    Gva last = head;
    std::array<std::uint64_t, 2> links = {init_.words[node / word()], 0};
    for (Gva next{links[0]}; next != head; next = Gva{links[0]}) {
      if (++steps_ > kMostSteps) return false;
      if (!memory_.numbers(next, links) || links[1] != last.value) return false;
      last = next;
      if (seen_.size() == kMostSeen) continue;
      seen_.push_back({next - node, {}, {}});
      if (!read(seen_.back())) return false;
      if (!second && seen_.back().text(layout_.comm.offset) == "kthreadd")
        second = seen_.size() - 1;
    }
    if (!second) return false;
    second_ = &seen_[*second];
    return true;
  }

  // Every task in the list is the first of its process, and has the process's number.
  bool find_numbers() {
    for (std::uint32_t at = 0; at + 8 <= size_; at += 4) {
      if (init_.half(at) != 0 || init_.half(at + 4) != 0) continue;
      if (second_->half(at) != 2 || second_->half(at + 4) != 2) continue;
      if (!all([&](const SeenTask& task) {
            return task.half(at) != 0 && task.half(at) == task.half(at + 4);
          })) {
        continue;
      }
      layout_.pid = {at, 4, 1};
      layout_.tgid = {at + 4, 4, 1};
      return true;
    }
    return false;
  }

  bool find_stack() {
    const std::uint64_t size = stack_size_of(memory_.word());
    const std::size_t saved = layout_.stack_pointer.offset / word();
    for (std::uint32_t at = 0; at < size_; at += word()) {
      const auto expected = [&](const SeenTask& task) { return task.words[saved] & ~(size - 1); };
      if (second_->words[at / word()] != expected(*second_)) continue;
      // One that has ended has none any more.
      if (!all([&](const SeenTask& task) {
            const std::uint64_t stack = task.words[at / word()];
            return stack == 0 || stack == expected(task);
          })) {
        continue;
      }
      layout_.stack = pointer_at(at);
      return true;
    }
    return false;
  }

  // The signal structure has the head of the list of threads, in which a process's first task is
  // first: the node of one and the head lead to one another in the same way for every task.
  bool find_threads() {
    for (std::uint32_t node = 0; node + 2 * word() <= size_; node += word()) {
      const std::uint64_t head = second_->words[node / word() + 1];
      if (memory_.pointer(Gva{head}) != second_->address + node) continue;
      for (std::uint32_t at = 0; at < size_; at += word()) {
        const std::uint64_t before = head - second_->words[at / word()];
        if (before == 0 || before >= kMostBeforeHead) continue;
        if (!all([&](const SeenTask& task) {
              return task.words[at / word()] + before == task.words[node / word() + 1] &&
                     memory_.pointer(Gva{task.words[at / word()] + before}) == task.address + node;
            })) {
          continue;
        }
        layout_.thread_node = {node, 2 * word(), 1};
        layout_.signal = pointer_at(at);
        layout_.thread_head = {static_cast<std::uint32_t>(before), 2 * word(), 1};
        return true;
      }
    }
    return false;
  }

  // exit_state, exit_code and exit_signal: tasks that live have no state of their end yet, and tell
  // of it by SIGCHLD, but for those that the kernel has begun first.
  void find_exit_state() {
    constexpr std::uint32_t kChildSignal = 17, kLastSignal = 64, kZombie = 0x20, kDead = 0x10;
    constexpr std::uint32_t kNear = 256;
    const std::uint32_t pid = layout_.pid.offset;
    for (std::uint32_t at = pid - std::min(pid, kNear); at + 12 <= pid; at += 4) {
      const auto tell = std::ranges::count_if(
          seen_, [&](const SeenTask& task) { return task.half(at + 8) == kChildSignal; });
      if (tell < 2 || init_.half(at + 8) != 0) continue;
      if (!all([&](const SeenTask& task) {
            const std::uint32_t state = task.half(at), signal = task.half(at + 8);
            return signal <= kLastSignal && (state == 0 || state == kZombie || state == kDead) &&
                   (state != 0 || task.half(at + 4) == 0);
          })) {
        continue;
      }
      layout_.exit_state = Btf::Place{at, 4, 1};
      return;
    }
  }

  const KernelMemory& memory_;
  const Kallsyms& symbols_;
  SeenTask init_;
  std::vector<SeenTask> seen_;
  const SeenTask* second_ = nullptr;  // kthreadd
  std::uint32_t size_ = 0;
  std::size_t steps_ = 0;
  TaskLayout layout_;
};

}  // namespace

Result<TaskLayout> search_task_layout(const KernelMemory& memory, const Kallsyms& symbols,
                                      Gva init_task) {
  TaskSearch search(memory, symbols, init_task);
  const std::string_view missing = search.run();
  if (missing.empty()) return search.layout();
  return fail(ErrorCode::NotFound,
              "the kernel has no type information (BTF) in its memory, and its tasks do not show "
              "where a struct task_struct has its " +
                  std::string(missing));
}

}  // namespace ringside::guests
