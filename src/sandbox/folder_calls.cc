// What a server of a folder calls: files are looked at, opened and read, and perhaps changed; and
// one socket that is there.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/filter.h"
#include "sandbox/system_calls.h"

namespace ringside::sandbox {
namespace {

// Whatever their arguments are. Which files they reach is Landlock's affair: names, and the flags
// of openat2(2), are in memory, where a filter does not look.
constexpr int kNeeded[] = {
    // the socket
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    // files
    SCMP_SYS(openat2),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(pread64),
    SCMP_SYS(lseek),
    SCMP_SYS(getdents64),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
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
    SCMP_SYS(write),  // the last words of abort(), to a standard stream
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

constexpr int kChanging[] = {
    SCMP_SYS(open),     SCMP_SYS(openat),   SCMP_SYS(pwrite64), SCMP_SYS(ftruncate),
    SCMP_SYS(mkdirat),  SCMP_SYS(mknodat),  SCMP_SYS(linkat),   SCMP_SYS(symlinkat),
    SCMP_SYS(unlinkat), SCMP_SYS(rename),   SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(fchmod),   SCMP_SYS(fchmodat), SCMP_SYS(fchownat), SCMP_SYS(utimensat),
};

}  // namespace

Result<void> allow_only_a_folder(Below what) {
  Filter filter(SCMP_ACT_ERRNO(EPERM));
  for (const int call : kNeeded)
    filter.allow(call);
  if (what == Below::ReadAndWrite) {
    for (const int call : kChanging)
      filter.allow(call);
  } else {
    constexpr std::uint64_t kWrites = O_ACCMODE | O_CREAT | O_TRUNC;
    filter.allow(SCMP_SYS(openat), {bits_are(2, kWrites, O_RDONLY)});
    filter.allow(SCMP_SYS(open), {bits_are(1, kWrites, O_RDONLY)});
  }
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
    filter.allow(call, {bits_are(2, PROT_EXEC, 0)});
  // abort()
  filter.allow(SCMP_SYS(tgkill), {number_is(0, static_cast<std::uint32_t>(::getpid()))});
  kill_for_what_is_hostile(filter);
  return filter.load();
}

}  // namespace ringside::sandbox
