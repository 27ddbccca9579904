#include "base/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/absolute_path.h"
#include "base/plain_text.h"

namespace ringside {
namespace {

// What a packet brings may have a zero in it, and a C string ends there.
bool is_name(const std::string& name) {
  return name.find_first_of(std::string_view("/\0", 2)) == std::string::npos && name != "." &&
         name != "..";
}

bool is_regular(const Fd& file) {
  struct stat status {};
  return file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

Error cannot_write(const std::string& name, int errno_value) {
  return Error::from_errno("cannot write '" + name + "'", errno_value);
}

Result<std::unique_ptr<OpenFolder>> OpenFolder::open(const std::string& path,
                                                     std::string_view where) {
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail(Error::from_errno("directory '" + path + "'", errno));
  return std::make_unique<OpenFolder>(std::move(directory),
                                      std::string(where) + ", " + plain_lines(absolute_path(path)));
}

OpenFolder::~OpenFolder() {
  while (!unfinished_.empty())
    discard(unfinished_.begin()->first);
}

Result<void> OpenFolder::check(const std::string& name, FileKind kind) {
  const std::string quoted = "'" + name + "'";
  if (name.empty()) return fail(ErrorCode::BadRequest, "a file name is missing");
  if (!is_plain_text(name)) {
    return fail(
        ErrorCode::BadRequest,
        "the name of a file is UTF-8 without control characters, not '" + plain_lines(name) + "'");
  }
  if (!is_name(name))
    return fail(ErrorCode::BadRequest, quoted + " is no plain file name: all go into " + where_);
  // O_NONBLOCK, because nobody may ever write to a FIFO.
  const Fd there(
      ::openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const int problem = errno;
  if (!there && problem == ENOENT) return {};
  // ELOOP is a link, and ENXIO a socket: both are there.
  if (!there && problem != ELOOP && problem != ENXIO)
    return fail(Error::from_errno(quoted, problem));
  if (kind == FileKind::Memory) {
    return fail(ErrorCode::BadRequest, quoted + " is there already, and what is saved of memory " +
                                           "goes under a new name, because no file can be told " +
                                           "from it");
  }
  if (!is_regular(there) || !is_of_kind(there.get(), kind)) {
    return fail(ErrorCode::BadRequest,
                quoted + " is there already, and is not " + std::string(name_of(kind)));
  }
  return {};
}

Result<Folder::NewFile> OpenFolder::create(const std::string& name, FileKind kind) {
  TRY(check(name, kind));
  // Another machine in this directory has another process id; what a process left that was killed
  // may have the same.
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string temporary =
        ".ringside-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    Fd file(::openat(directory_.get(), temporary.c_str(),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file) {
      unfinished_[next_] = {std::move(temporary), name};
      return NewFile{std::move(file), next_++};
    }
    if (errno != EEXIST) break;
  }
  return fail(cannot_write(name, errno));
}

Result<void> OpenFolder::finish(std::uint32_t number) {
  const auto found = unfinished_.find(number);
  if (found == unfinished_.end()) return fail(ErrorCode::NotFound, "there is no such file");
  const auto& [temporary, name] = found->second;
  const int directory = directory_.get();
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) == 0) {
    unfinished_.erase(found);
    return {};
  }
  const Error error = cannot_write(name, errno);
  discard(number);
  return fail(error);
}

void OpenFolder::discard(std::uint32_t number) {
  const auto found = unfinished_.find(number);
  if (found == unfinished_.end()) return;
  ::unlinkat(directory_.get(), found->second.temporary.c_str(), 0);
  unfinished_.erase(found);
}

Fd OpenFolder::open_module(const std::string& name) {
  if (!is_name(name) || name.find(".ko") == std::string::npos) return Fd();
  // A folder of modules may have links into another one, as a developer's has.
  Fd file(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  return is_regular(file) ? std::move(file) : Fd();
}

}  // namespace ringside
