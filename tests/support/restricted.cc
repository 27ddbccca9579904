// restricted HOW PROGRAM [ARGUMENT...]: executes a program as on a host that forbids something. It
// ends with status 77, and says why, where this host cannot be made such a one.
//   write-xor-execute               PR_SET_MDWE: no page gains the right to be executed
//   no-executable-memory:EACCES     nothing but files of programs may be mapped to be executed;
//   no-executable-memory:EPERM      an attempt fails with this error, as under a seccomp filter
//   no-filters                      system calls cannot be filtered any more
//   no-memory-files                 there is no memfd_create(2)
//   no-programs-in-memory           vm.memfd_noexec is 2, in a PID namespace of its own
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace {

[[noreturn]] void cannot(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  std::_Exit(77);
}

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset));
}
sock_filter load_number() { return load(offsetof(seccomp_data, nr)); }
// Its low half: what is asked about here has no bits in the other one.
sock_filter load_argument(unsigned index) { return load(offsetof(seccomp_data, args) + 8 * index); }
// How many instructions to leave out then, and otherwise.
sock_filter if_equal(unsigned value, std::uint8_t then, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise);
}
sock_filter if_any_of(unsigned bits, std::uint8_t then, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, then, otherwise);
}
sock_filter allow() { return BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW); }
sock_filter refuse(int error) {
  return BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error));
}

void install(std::vector<sock_filter> filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) cannot("PR_SET_NO_NEW_PRIVS");
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) cannot("PR_SET_SECCOMP");
}

// The dynamic loader goes on: what it maps to be executed are private pages of files.
void forbid_executable_memory(int error) {
  install({load_number(),                                // 0
           if_equal(SYS_mmap, 0, 4),                     // 1: otherwise to 6
           load_argument(2),                             // 2
           if_any_of(PROT_EXEC, 0, 5),                   // 3: otherwise to 9
           load_argument(3),                             // 4
           if_any_of(MAP_SHARED | MAP_ANONYMOUS, 4, 3),  // 5: to 10, otherwise to 9
           if_equal(SYS_mprotect, 0, 2),                 // 6: otherwise to 9
           load_argument(2),                             // 7
           if_any_of(PROT_EXEC, 1, 0),                   // 8: to 10, otherwise to 9
           allow(),                                      // 9
           refuse(error)});                              // 10
}

void forbid_filters() {
  install({load_number(), if_equal(SYS_seccomp, 3, 0), if_equal(SYS_prctl, 0, 3), load_argument(0),
           if_equal(PR_SET_SECCOMP, 0, 1), refuse(EPERM), allow()});
}

void forbid_memory_files() {
  install({load_number(), if_equal(SYS_memfd_create, 1, 0), allow(), refuse(ENOSYS)});
}

// Returns in the first process of a new PID namespace, which has the setting for itself. The other
// one waits for it and ends as it does.
void forbid_programs_in_memory() {
  if (::unshare(CLONE_NEWPID) != 0) cannot("no PID namespace of its own");
  const pid_t child = ::fork();
  if (child < 0) cannot("fork");
  if (child != 0) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const ringside::Fd setting(::open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC));
  if (::getpid() != 1 || !setting || ::write(setting.get(), "2", 1) != 1) cannot("vm.memfd_noexec");
}

void restrict_by(std::string_view how) {
  constexpr int kSetMdwe = 65, kRefuseExecGain = 1;  // of Linux 6.3
  if (how == "write-xor-execute") {
    if (::prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) != 0) cannot("PR_SET_MDWE");
  } else if (how == "no-executable-memory:EACCES") {
    forbid_executable_memory(EACCES);
  } else if (how == "no-executable-memory:EPERM") {
    forbid_executable_memory(EPERM);
  } else if (how == "no-filters") {
    forbid_filters();
  } else if (how == "no-memory-files") {
    forbid_memory_files();
  } else if (how == "no-programs-in-memory") {
    forbid_programs_in_memory();
  } else {
    errno = EINVAL;
    cannot("the restriction");
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 77;
  restrict_by(arguments[1]);
  ::execv(arguments[2], arguments + 2);
  cannot(arguments[2]);
}
