#include "base/file_place.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/fd.h"

namespace ringside {

Result<void> check_file_place(int directory, const std::string& name,
                              const std::function<bool(int file)>& is_ours, std::string_view what) {
  const std::string quoted = "'" + name + "'";
  if (name.empty()) return fail(ErrorCode::BadRequest, "a file name is missing");
  // What a packet brings may have a zero in it, and a C string ends there.
  if (name.find_first_of(std::string_view("/\0", 2)) != std::string::npos || name == "." ||
      name == "..")
    return fail(ErrorCode::BadRequest, quoted + " is not the name of a file in that directory");
  // O_NONBLOCK, because nobody may ever write to a FIFO.
  const Fd there(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const int problem = errno;
  if (!there && problem == ENOENT) return {};
  // ELOOP is a link, and ENXIO a socket: both are there.
  if (!there && problem != ELOOP && problem != ENXIO)
    return fail(Error::from_errno(quoted, problem));
  struct stat status {};
  if (!there || ::fstat(there.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      !is_ours(there.get())) {
    return fail(ErrorCode::BadRequest,
                quoted + " is there already, and is not " + std::string(what));
  }
  return {};
}

}  // namespace ringside
