#include "sandbox/system_calls.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/filter.h"

namespace ringside::sandbox {
namespace {

// Whatever their arguments are. Those that a running guest calls most often come first.
constexpr int kNeeded[] = {
    // open files, and waiting for them
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(close),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(memfd_create),  // memory of the guest that KVM sees twice
    // what a file is: fstat(2) is one of these, too, and the filter does not see whether a name is
    // given
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(getcwd),
    // connections
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    // memory and threads
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    // signals and time
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(timer_create),
    SCMP_SYS(timer_settime),
    SCMP_SYS(timer_delete),
    // who and where
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getpgrp),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getcpu),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
};

// All host code that there will be is mapped: nothing becomes executable any more.
void allow_memory(Filter& filter) {
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    filter.allow(call, {bits_are(2, PROT_EXEC, 0)});
}

// A thread, and never a process or another view of the system. Flags of clone3(2) are in memory,
// where a filter does not look; glibc takes clone(2) where there is no such call.
void allow_threads(Filter& filter) {
  constexpr std::uint64_t kViews = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                   CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  filter.allow(SCMP_SYS(clone), {bits_are(0, CLONE_THREAD | kViews, CLONE_THREAD)});
  filter.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  filter.allow(SCMP_SYS(prctl), {number_is(0, PR_SET_NAME)});
  // A limit is asked for, and not set.
  filter.allow(SCMP_SYS(prlimit64), {argument_is(0, 0), argument_is(2, 0)});
  const auto self = static_cast<std::uint32_t>(::getpid());
  filter.allow(SCMP_SYS(tgkill), {number_is(0, self)});
  filter.allow(SCMP_SYS(kill), {number_is(0, self)});
}

// Not TIOCSTI, which types on the terminal as the user does, and not F_SETOWN, which sends signals.
void allow_control_of_files(Filter& filter, Engine engine) {
  for (const std::uint32_t command :
       {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_SETLK, F_GETLK})
    filter.allow(SCMP_SYS(fcntl), {number_is(1, command)});
  for (const std::uint32_t request :
       {TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGPGRP, TIOCGWINSZ, FIONREAD})
    filter.allow(SCMP_SYS(ioctl), {number_is(1, request)});
  if (engine == Engine::Soft) return;
  constexpr std::uint32_t kType = 0xff00;
  filter.allow(SCMP_SYS(ioctl), {bits_are(1, kType, KVMIO << 8)});
}

// Of an accepted connection; others attach programs for the kernel to run.
void allow_socket_options(Filter& filter) {
  for (const std::uint32_t option : {TCP_NODELAY, TCP_NOTSENT_LOWAT})
    filter.allow(SCMP_SYS(setsockopt), {number_is(1, IPPROTO_TCP), number_is(2, option)});
  for (const std::uint32_t option : {SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER})
    filter.allow(SCMP_SYS(setsockopt), {number_is(1, SOL_SOCKET), number_is(2, option)});
}

}  // namespace

Result<void> allow_only_what_is_needed(Engine engine) {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  for (const int call : kNeeded)
    filter.allow(call);
  allow_memory(filter);
  allow_threads(filter);
  allow_control_of_files(filter, engine);
  allow_socket_options(filter);
  allow_sending(filter, SendsTo::ItsOtherEnd);
  // A connection's end, and not a listener's.
  filter.allow(SCMP_SYS(shutdown), {number_is(1, SHUT_WR)});
  kill_for_what_is_hostile(filter);
  return filter.load();
}

Result<void> forbid_what_nobody_needs() {
  Filter filter(SCMP_ACT_ALLOW);
  kill_for_what_is_hostile(filter);
  return filter.load();
}

}  // namespace ringside::sandbox
