#include "cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"

namespace ringside::cli {

namespace {

// A pipe may have nothing yet, or nobody who writes to it.
void await_content(int fd, const std::function<void()>& meanwhile) {
  constexpr int kTurnMilliseconds = 5;
  pollfd entry{fd, POLLIN, 0};
  while (::poll(&entry, 1, kTurnMilliseconds) == 0) {
    if (meanwhile) meanwhile();
  }
}

}  // namespace

Result<std::vector<std::byte>> read_file(const std::string& path, std::string_view what,
                                         const std::function<void()>& meanwhile) {
  constexpr std::size_t kPiece = 1u << 20, kLargest = std::size_t{4} << 30;
  const std::string name = fmt::format("cannot read {} '{}'", what, path);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return fail(Error::from_errno(name, errno));
  struct stat status {};
  if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<std::uint64_t>(status.st_size) > kLargest) {
    return fail(ErrorCode::BadRequest, name + ": it is larger than 4G");
  }
  // Also from pipes, so the size is known only at the end.
  std::vector<std::byte> content;
  std::size_t used = 0;
  for (;;) {
    await_content(fd.get(), meanwhile);
    if (used == content.size()) {
      const auto size = static_cast<std::size_t>(status.st_size);
      content.resize(used == 0 && size > 0 ? size + 1 : used + kPiece);
    }
    const ssize_t count = ::read(fd.get(), content.data() + used, content.size() - used);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return fail(Error::from_errno(name, errno));
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (used > kLargest) return fail(ErrorCode::BadRequest, name + ": it is larger than 4G");
  }
  content.resize(used);
  return content;
}

}  // namespace ringside::cli
