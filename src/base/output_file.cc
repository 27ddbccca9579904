#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/folder.h"

namespace ringside {
namespace {

tl::unexpected<Error> refused(const std::string& path, const char* why) {
  return fail(ErrorCode::BadRequest, "cannot write '" + path + "': " + why);
}

// Names of what is open already: whoever opened it has said what becomes of it. The links there are
// the kernel's and root's, as not all are in /dev: anybody makes some in /dev/shm.
bool is_open_already(std::string_view path) {
  if (path == "/dev/stdout" || path == "/dev/stderr") return true;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"}) {
    if (!path.starts_with(folder) || path == folder) continue;
    const std::string_view number = path.substr(folder.size());
    return std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  }
  return false;
}

// Whose content somebody reads: a terminal is its user's, and other devices are the system's.
bool can_be_anothers(const struct stat& status) {
  return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode);
}

}  // namespace

Result<Fd> open_output(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_NOCTTY | O_CLOEXEC;
  Fd file(::open(path.c_str(), kFlags | O_CREAT | O_EXCL | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (file) return file;
  if (errno != EEXIST) return fail(cannot_write(path, errno));
  const bool open_already = is_open_already(path);
  file.reset(::open(path.c_str(), kFlags | (open_already ? 0 : O_NOFOLLOW)));
  if (!file && errno == ELOOP) return refused(path, "it is a symbolic link; name the file itself");
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return fail(cannot_write(path, errno));
  if (!open_already && can_be_anothers(status) && status.st_uid != ::geteuid())
    return refused(path, "it is another user's, who could read what is written");
  if (!S_ISREG(status.st_mode)) return file;
  if (::ftruncate(file.get(), 0) != 0) return fail(cannot_write(path, errno));
  return file;
}

}  // namespace ringside
