#include "base/whole_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ringside {

Result<WholeFile> WholeFile::create(int directory, std::string name, std::string shown) {
  WholeFile file(directory, std::move(name), std::move(shown));
  // Another machine in this directory has another process id; what a process left that was killed
  // may have the same.
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string temporary =
        ".ringside-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    file.fd_.reset(::openat(directory, temporary.c_str(),
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file.fd_) {
      file.temporary_ = std::move(temporary);
      return file;
    }
    if (errno != EEXIST) break;
  }
  return fail(file.failed(errno));
}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : directory_(other.directory_),
      name_(std::move(other.name_)),
      shown_(std::move(other.shown_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}

WholeFile::~WholeFile() {
  if (!temporary_.empty()) ::unlinkat(directory_, temporary_.c_str(), 0);
}

Error WholeFile::failed(int errno_value) const {
  return Error::from_errno("cannot write '" + shown_ + "'", errno_value);
}

Result<void> WholeFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(failed(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> WholeFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(failed(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> WholeFile::set_size(std::uint64_t size) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return fail(failed(errno));
  return {};
}

Result<void> WholeFile::finish() {
  // Some file systems say only then that there was no room.
  if (::close(fd_.release()) != 0) return fail(failed(errno));
  if (::renameat(directory_, temporary_.c_str(), directory_, name_.c_str()) != 0)
    return fail(failed(errno));
  temporary_.clear();
  return {};
}

}  // namespace ringside
