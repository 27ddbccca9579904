// What becomes of an attempt in a process of its own, which gives up rights first.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace ringside::sandbox::testing {

inline constexpr int kKilled = 256 + SIGSYS;

// The status with which `attempt` ends the process, or 256 and the signal that ended it.
inline int outcome_of(const std::function<int()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(attempt());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace ringside::sandbox::testing
