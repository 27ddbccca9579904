// fail_once REPORT FAULT PROGRAM [ARGUMENT...]: executes a program whose system calls are seen, and
// one of which can fail. It ends as the program does, once all its processes have. FAULT is `none`,
// or PROCESS:CALL:NUMBER:ERRNO: in PROCESS, `main` or `child`, the NUMBER-th use of CALL (a number
// of <sys/syscall.h>, see calls.h) fails with ERRNO; ERRNO 0: it does only a part of what it was
// asked to. REPORT is a file that is written anew; its lines:
//   used PROCESS CALL COUNT          how often a call was made (without a fault)
//   failed                           the fault came about
//   ended PROCESS (status N|signal N)
// What comes before SIGUSR1 gets its handler, the first thing that ringside's main() does, is the
// loader's and the C library's, and does not count. It ends with status 77, and says why, where no
// process can be traced.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "faults/calls.h"

namespace ringside::testing {
namespace {

volatile pid_t g_main = 0;

void pass_on(int signal) {
  if (g_main > 0) ::kill(g_main, signal);
}

[[noreturn]] void cannot(const char* what) {
  std::fprintf(stderr, "fail_once: %s: %s\n", what, std::strerror(errno));
  std::_Exit(77);
}

struct Fault {
  std::string process;
  long call = 0;
  unsigned number = 0;
  int error = 0;
};

std::optional<Fault> parse_fault(const std::string& text) {
  Fault fault;
  char process[16] = {};
  if (std::sscanf(text.c_str(), "%15[a-z]:%ld:%u:%d", process, &fault.call, &fault.number,
                  &fault.error) != 4)
    return std::nullopt;
  fault.process = process;
  return fault;
}

using Close = int (*)(std::FILE*);

class Tracer {
 public:
  Tracer(const char* report, std::optional<Fault> fault)
      : report_(std::fopen(report, "we"), &std::fclose), fault_(std::move(fault)) {
    if (report_ == nullptr) cannot(report);
  }

  int run(char** command) {
    start(command);
    for (;;) {
      int status = 0;
      const pid_t who = ::waitpid(-1, &status, __WALL);
      if (who < 0 && errno == EINTR) continue;
      if (who < 0) break;  // ECHILD: all have ended
      if (WIFSTOPPED(status)) {
        stopped(who, status);
      } else {
        ended(who, status);
      }
    }
    for (const auto& [use, count] : used_)
      std::fprintf(report_.get(), "used %s %ld %u\n", use.first.c_str(), use.second, count);
    return status_;
  }

 private:
  // A thread of one of the processes.
  struct Task {
    std::string process;
    // Between the beginning and the end of the call that fails: what is to be put right at its end.
    enum class Change { None, Result, Register } change = Change::None;
    std::size_t register_offset = 0;
    long value = 0;
  };

  void start(char** command) {
    const pid_t child = ::fork();
    if (child < 0) cannot("fork");
    if (child == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) cannot("PTRACE_TRACEME");
      ::execv(command[0], command);
      cannot(command[0]);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
      std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 77);
    if (::ptrace(PTRACE_SETOPTIONS, child, nullptr,
                 PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK) != 0)
      cannot("PTRACE_SETOPTIONS");
    g_main = child;
    tasks_[child].process = "main";
    go_on(child, 0);
  }

  // Once the fault has come about, nothing more need be seen.
  void go_on(pid_t who, int signal) {
    const bool over = has_failed_ && tasks_[who].change == Task::Change::None;
    ::ptrace(over ? PTRACE_CONT : PTRACE_SYSCALL, who, nullptr, signal);
  }

  void stopped(pid_t who, int status) {
    const bool is_new = tasks_.find(who) == tasks_.end();
    if (is_new) tasks_[who].process = process_of(who);
    const int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      at_call(who);
      return go_on(who, 0);
    }
    // An event of the tracer's own, and the stop that a new task begins with.
    const bool ours = (status >> 16) != 0 || (is_new && signal == SIGSTOP);
    go_on(who, ours ? 0 : signal);
  }

  void ended(pid_t who, int status) {
    const auto found = tasks_.find(who);
    if (found == tasks_.end()) return;
    const bool is_process = who == g_main || (found->second.process == "child");
    if (is_process) {
      std::fprintf(report_.get(), "ended %s %s %d\n", found->second.process.c_str(),
                   WIFEXITED(status) ? "status" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
      std::fflush(report_.get());
    }
    if (who == g_main) {
      g_main = 0;
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    tasks_.erase(found);
  }

  static std::string process_of(pid_t task) {
    std::ifstream stream("/proc/" + std::to_string(task) + "/status");
    for (std::string line; std::getline(stream, line);) {
      if (line.rfind("Tgid:", 0) == 0)
        return std::stol(line.substr(5)) == g_main ? "main" : "child";
    }
    return "child";
  }

  void at_call(pid_t who) {
    Task& task = tasks_[who];
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, who, sizeof info, &info) <= 0) return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) return finish(who, task);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    const auto call = static_cast<long>(info.entry.nr);
    const bool handler = call == SYS_rt_sigaction && info.entry.args[0] == SIGUSR1;
    if (!has_begun_ && !handler) return;
    has_begun_ = true;
    const long kind = kind_of_call(call, info.entry.args[0], info.entry.args[1]);
    const unsigned number = ++used_[{task.process, kind}];
    if (!fault_ || has_failed_ || fault_->call != kind || fault_->process != task.process ||
        fault_->number != number)
      return;
    has_failed_ = true;
    std::fprintf(report_.get(), "failed\n");
    std::fflush(report_.get());
    if (fault_->error == 0) return leave_a_part(who, task, info);
    // brk(2) does not say that it has failed: the end stays where it is.
    if (call == SYS_brk) return change(who, task, offsetof(user_regs_struct, rdi), 0);
    // Another call in its place, which has no effect and is allowed by every filter.
    ::ptrace(PTRACE_POKEUSER, who, offsetof(user_regs_struct, orig_rax), SYS_getpid);
    task.change = Task::Change::Result;
    task.value = -fault_->error;
  }

  // A byte, or the first of several buffers.
  static void leave_a_part(pid_t who, Task& task, const __ptrace_syscall_info& info) {
    if (info.entry.args[2] > 1) change(who, task, offsetof(user_regs_struct, rdx), 1);
  }

  static void change(pid_t who, Task& task, std::size_t offset, long value) {
    task.change = Task::Change::Register;
    task.register_offset = offset;
    task.value = ::ptrace(PTRACE_PEEKUSER, who, offset, nullptr);
    ::ptrace(PTRACE_POKEUSER, who, offset, value);
  }

  static void finish(pid_t who, Task& task) {
    if (task.change == Task::Change::None) return;
    const std::size_t offset = task.change == Task::Change::Result ? offsetof(user_regs_struct, rax)
                                                                   : task.register_offset;
    ::ptrace(PTRACE_POKEUSER, who, offset, task.value);
    task.change = Task::Change::None;
  }

  std::unique_ptr<std::FILE, Close> report_;
  const std::optional<Fault> fault_;
  std::map<pid_t, Task> tasks_;
  std::map<std::pair<std::string, long>, unsigned> used_;
  bool has_begun_ = false, has_failed_ = false;
  int status_ = 77;
};

}  // namespace
}  // namespace ringside::testing

int main(int count, char** arguments) {
  if (count < 4) {
    std::fprintf(stderr, "usage: fail_once REPORT FAULT PROGRAM [ARGUMENT...]\n");
    return 77;
  }
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    struct sigaction action {};
    action.sa_handler = ringside::testing::pass_on;
    ::sigaction(signal, &action, nullptr);
  }
  return ringside::testing::Tracer(arguments[1], ringside::testing::parse_fault(arguments[2]))
      .run(arguments + 3);
}
