// What a server of a folder calls: files are looked at, opened and read, and perhaps changed; and
// one socket that is there.
#include <cerrno>

#include "sandbox/companion_calls.h"
#include "sandbox/system_calls.h"

namespace ringside::sandbox {
namespace {

// Whatever their arguments are. Which files they reach is Landlock's affair: names, and the flags
// of openat2(2), are in memory, where a filter does not look.
constexpr int kNeeded[] = {
    SCMP_SYS(openat2),  SCMP_SYS(fstatfs),    SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(pread64),   SCMP_SYS(getdents64),
    SCMP_SYS(fsync),    SCMP_SYS(fdatasync),
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
  allow_what_companions_need(filter);
  for (const int call : kNeeded)
    filter.allow(call);
  if (what == Below::ReadAndWrite) {
    for (const int call : kChanging)
      filter.allow(call);
  } else {
    allow_opening_to_read(filter);
  }
  return filter.load();
}

}  // namespace ringside::sandbox
