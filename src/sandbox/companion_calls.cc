#include "sandbox/companion_calls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ringside::sandbox {
namespace {

// Whatever their arguments are.
constexpr int kNeeded[] = {
    // sockets that are there
    SCMP_SYS(recvfrom),
    // files that are there
    SCMP_SYS(write),  // also the last words of abort(), to a standard stream
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    // memory
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    // signals
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    // who, and the end
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getrandom),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

}  // namespace

void allow_what_companions_need(Filter& filter, SendsTo whom) {
  for (const int call : kNeeded)
    filter.allow(call);
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    filter.allow(call, {bits_are(2, PROT_EXEC, 0)});
  allow_sending(filter, whom);
  // abort()
  filter.allow(SCMP_SYS(tgkill), {number_is(0, static_cast<std::uint32_t>(::getpid()))});
  kill_for_what_is_hostile(filter);
}

void allow_opening_to_read(Filter& filter) {
  constexpr std::uint64_t kWrites = O_ACCMODE | O_CREAT | O_TRUNC;
  filter.allow(SCMP_SYS(openat), {bits_are(2, kWrites, O_RDONLY)});
  filter.allow(SCMP_SYS(open), {bits_are(1, kWrites, O_RDONLY)});
}

}  // namespace ringside::sandbox
