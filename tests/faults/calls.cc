#include "faults/calls.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace ringside::testing {
namespace {

const Call kCalls[] = {
    // files
    {"open", SYS_open, {EMFILE, EACCES, ENFILE, EINTR}},
    {"openat", SYS_openat, {EMFILE, EACCES, ENFILE, ENOSPC, EINTR}},
    {"openat2", SYS_openat2, {EMFILE, EACCES, ENFILE, EINTR}},
    {"read", SYS_read, {EIO, EINTR, EAGAIN}, Part::Possible},
    {"write", SYS_write, {EIO, ENOSPC, EINTR, EAGAIN}, Part::Possible},
    {"write to standard error", kWriteToStandardError, {EINTR, EAGAIN}, Part::Possible},
    {"pread64", SYS_pread64, {EIO, EINTR}, Part::Possible},
    {"pwrite64", SYS_pwrite64, {EIO, ENOSPC, EINTR}, Part::Possible},
    {"readv", SYS_readv, {EIO, EINTR}, Part::Possible},
    {"writev", SYS_writev, {EIO, ENOSPC, EINTR}, Part::Possible},
    {"preadv", SYS_preadv, {EIO, EINTR}, Part::Possible},
    {"pwritev", SYS_pwritev, {EIO, ENOSPC, EINTR}, Part::Possible},
    {"lseek", SYS_lseek, {EINVAL}},
    {"fsync", SYS_fsync, {EIO, ENOSPC}},
    {"fdatasync", SYS_fdatasync, {EIO, ENOSPC}},
    {"ftruncate", SYS_ftruncate, {EIO, EINTR}},
    {"fallocate", SYS_fallocate, {ENOSPC, EOPNOTSUPP, EINTR}},
    {"close", SYS_close, {EIO, EINTR}},
    {"close_range", SYS_close_range, {ENOMEM}},
    {"stat", SYS_stat, {ENOMEM}},
    {"lstat", SYS_lstat, {ENOMEM}},
    {"fstat", SYS_fstat, {ENOMEM}},
    {"newfstatat", SYS_newfstatat, {ENOMEM}},
    {"statx", SYS_statx, {ENOMEM}},
    {"fchmod", SYS_fchmod, {EIO}},
    {"rename", SYS_rename, {EIO, ENOSPC}},
    {"renameat", SYS_renameat, {EIO, ENOSPC}},
    {"unlink", SYS_unlink, {EIO}},
    {"unlinkat", SYS_unlinkat, {EIO}},
    {"access", SYS_access, {ENOMEM}},
    {"faccessat2", SYS_faccessat2, {ENOMEM}},
    {"readlink", SYS_readlink, {EIO}},
    {"getcwd", SYS_getcwd, {ENOMEM}},
    {"getdents64", SYS_getdents64, {ENOMEM}},
    {"fcntl", SYS_fcntl, {EMFILE, EAGAIN}},
    {"ioctl", SYS_ioctl, {EIO}},
    {"dup2", SYS_dup2, {EMFILE, EINTR}},
    {"dup3", SYS_dup3, {EMFILE, EINTR}},
    {"memfd_create", SYS_memfd_create, {EMFILE, ENOMEM, ENFILE}},
    {"flock", SYS_flock, {EINTR, ENOLCK}},
    // waiting
    {"poll", SYS_poll, {EINTR, ENOMEM}},
    {"ppoll", SYS_ppoll, {EINTR, ENOMEM}},
    {"eventfd2", SYS_eventfd2, {EMFILE, ENFILE, ENOMEM}},
    {"pipe2", SYS_pipe2, {EMFILE, ENFILE}},
    {"epoll_create1", SYS_epoll_create1, {EMFILE, ENFILE, ENOMEM}},
    {"epoll_ctl", SYS_epoll_ctl, {ENOMEM, ENOSPC}},
    {"epoll_wait", SYS_epoll_wait, {EINTR}},
    {"futex", SYS_futex, {EINTR, EAGAIN}},
    {"wait4", SYS_wait4, {EINTR}},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait, {EINTR, EAGAIN}},
    {"sched_yield", SYS_sched_yield, {}},
    {"clock_nanosleep", SYS_clock_nanosleep, {EINTR}},
    // connections
    {"socket", SYS_socket, {EMFILE, EACCES, ENOBUFS}},
    {"socketpair", SYS_socketpair, {EMFILE, ENFILE}},
    {"bind", SYS_bind, {EACCES, ENOMEM}},
    {"listen", SYS_listen, {EADDRINUSE}},
    {"connect", SYS_connect, {EAGAIN, EINTR}},
    {"accept4", SYS_accept4, {EMFILE, ECONNABORTED, EINTR, ENOBUFS}},
    {"shutdown", SYS_shutdown, {ENOTCONN}},
    {"getsockname", SYS_getsockname, {ENOBUFS}},
    {"getpeername", SYS_getpeername, {ENOTCONN, ENOBUFS}},
    {"getsockopt", SYS_getsockopt, {ENOPROTOOPT}},
    {"setsockopt", SYS_setsockopt, {ENOPROTOOPT}},
    {"recvfrom", SYS_recvfrom, {ECONNRESET, EINTR, EAGAIN, ENOMEM}, Part::Possible},
    {"sendto", SYS_sendto, {ECONNRESET, EINTR, EAGAIN, ENOBUFS}, Part::Possible},
    {"recvmsg", SYS_recvmsg, {ENOMEM, EINTR}},
    {"sendmsg", SYS_sendmsg, {ENOBUFS, EINTR}},
    // memory
    {"mmap", SYS_mmap, {ENOMEM}},
    {"mremap", SYS_mremap, {ENOMEM}},
    {"munmap", SYS_munmap, {ENOMEM}},
    {"mprotect", SYS_mprotect, {ENOMEM}},
    {"madvise", SYS_madvise, {ENOMEM}},
    {"brk", SYS_brk, {ENOMEM}},
    // processes, threads, rights
    {"fork", SYS_fork, {EAGAIN, ENOMEM}},
    {"clone", SYS_clone, {EAGAIN, ENOMEM}},
    {"clone3", SYS_clone3, {EAGAIN}},
    {"prctl", SYS_prctl, {EINVAL}},
    {"seccomp", SYS_seccomp, {EINVAL, ENOMEM}},
    {"landlock_create_ruleset", SYS_landlock_create_ruleset, {EOPNOTSUPP, EMFILE}},
    {"landlock_add_rule", SYS_landlock_add_rule, {ENOMEM}},
    {"landlock_restrict_self", SYS_landlock_restrict_self, {E2BIG}},
    {"setgroups", SYS_setgroups, {ENOMEM}},
    {"setresgid", SYS_setresgid, {EPERM}},
    {"setresuid", SYS_setresuid, {EAGAIN}},
    {"tgkill", SYS_tgkill, {EAGAIN}},
    {"getrandom", SYS_getrandom, {EINTR, ENOSYS}},
    {"prlimit64", SYS_prlimit64, {EPERM}},
    // what cannot fail where its arguments are right
    {"futex to wake", kWakeByFutex, {}},
    {"rt_sigaction", SYS_rt_sigaction, {}},
    {"rt_sigprocmask", SYS_rt_sigprocmask, {}},
    {"rt_sigpending", SYS_rt_sigpending, {}},
    {"rt_sigreturn", SYS_rt_sigreturn, {}},
    {"set_robust_list", SYS_set_robust_list, {}},
    {"rseq", SYS_rseq, {}},
    {"getpid", SYS_getpid, {}},
    {"gettid", SYS_gettid, {}},
    {"getppid", SYS_getppid, {}},
    {"getpgrp", SYS_getpgrp, {}},
    {"getuid", SYS_getuid, {}},
    {"geteuid", SYS_geteuid, {}},
    {"getgid", SYS_getgid, {}},
    {"getegid", SYS_getegid, {}},
    {"umask", SYS_umask, {}},
    {"uname", SYS_uname, {}},
    {"sysinfo", SYS_sysinfo, {}},
    {"sched_getaffinity", SYS_sched_getaffinity, {}},
    {"clock_gettime", SYS_clock_gettime, {}},
    {"exit", SYS_exit, {}},
    {"exit_group", SYS_exit_group, {}},
    {"restart_syscall", SYS_restart_syscall, {}},
};

}  // namespace

const Call* find_call(long number) {
  const auto* const found =
      std::find_if(std::begin(kCalls), std::end(kCalls),
                   [number](const Call& call) { return call.number == number; });
  return found == std::end(kCalls) ? nullptr : found;
}

long kind_of_call(long number, std::uint64_t first_argument, std::uint64_t second_argument) {
  if (number == SYS_write && first_argument == STDERR_FILENO) return kWriteToStandardError;
  const auto operation = static_cast<int>(second_argument) & FUTEX_CMD_MASK;
  const bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET;
  return number == SYS_futex && !waits ? kWakeByFutex : number;
}

}  // namespace ringside::testing
