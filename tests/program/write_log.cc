// For LD_PRELOAD: notes in the file WRITE_LOG, in their order, what a process has written to places
// in files and to standard output, and when it has had what it wrote brought to the disk
// (write_log.h). Only what has succeeded is noted. A library of C functions that has no state but
// the descriptor of its file, which is open from the process's start.
#include "program/write_log.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace {

using ringside::testing::LoggedWrite;
using Kind = LoggedWrite::Kind;

int g_log = -1;

__attribute__((constructor)) void open_log() {
  if (const char* const path = std::getenv("WRITE_LOG"))
    g_log = ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

void note(Kind kind, std::uint64_t offset, const void* bytes, std::uint64_t size) {
  if (g_log < 0) return;
  LoggedWrite record{kind, offset, size};
  const iovec parts[] = {{&record, sizeof record}, {const_cast<void*>(bytes), size}};
  // A log that is not whole shows: what is missing is lost to the test.
  (void)::syscall(SYS_writev, g_log, parts, 2);
}

}  // namespace

extern "C" {

ssize_t pwrite(int file, const void* bytes, size_t size, off_t offset) {
  const ssize_t done = ::syscall(SYS_pwrite64, file, bytes, size, offset);
  if (done > 0)
    note(Kind::Write, static_cast<std::uint64_t>(offset), bytes, static_cast<std::uint64_t>(done));
  return done;
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  return pwrite(file, bytes, size, offset);
}

ssize_t pwritev(int file, const iovec* pieces, int count, off_t offset) {
  // The low half of the place, and the high one.
  const ssize_t done = ::syscall(SYS_pwritev, file, pieces, count, offset, 0);
  auto left = static_cast<std::size_t>(done > 0 ? done : 0);
  for (int i = 0; left > 0; ++i) {
    const std::size_t size = std::min(pieces[i].iov_len, left);
    note(Kind::Write, static_cast<std::uint64_t>(offset), pieces[i].iov_base, size);
    offset += static_cast<off_t>(size);
    left -= size;
  }
  return done;
}

ssize_t pwritev64(int file, const iovec* pieces, int count, off64_t offset) {
  return pwritev(file, pieces, count, offset);
}

int fdatasync(int file) {
  const int done = static_cast<int>(::syscall(SYS_fdatasync, file));
  if (done == 0) note(Kind::Sync, 0, nullptr, 0);
  return done;
}

ssize_t write(int file, const void* bytes, size_t size) {
  const ssize_t done = ::syscall(SYS_write, file, bytes, size);
  if (done > 0 && file == STDOUT_FILENO)
    note(Kind::Said, 0, bytes, static_cast<std::uint64_t>(done));
  return done;
}
}
