#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/folder.h"

namespace ringside {
namespace {

tl::unexpected<Error> refused(const std::string& path, const char* why) {
  return fail(ErrorCode::BadRequest, "cannot write '" + path + "': " + why);
}

// Those who made the links there are the kernel and root.
bool is_of_the_system(const std::string& path) {
  return path.starts_with("/dev/") || path.starts_with("/proc/");
}

}  // namespace

Result<Fd> open_output(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_NOCTTY | O_CLOEXEC;
  Fd file(::open(path.c_str(), kFlags | O_CREAT | O_EXCL | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (file) return file;
  if (errno != EEXIST) return fail(cannot_write(path, errno));
  const bool system = is_of_the_system(path);
  file.reset(::open(path.c_str(), kFlags | (system ? 0 : O_NOFOLLOW)));
  if (!file && errno == ELOOP) return refused(path, "it is a symbolic link; name the file itself");
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return fail(cannot_write(path, errno));
  if (!S_ISREG(status.st_mode)) return file;
  if (!system && status.st_uid != ::geteuid())
    return refused(path, "it is another user's, who could read what is written");
  if (::ftruncate(file.get(), 0) != 0) return fail(cannot_write(path, errno));
  return file;
}

}  // namespace ringside
