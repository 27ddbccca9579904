#include "share/tree.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace ringside::share {
namespace {

Outcome<Fd> open_beneath(const Fd& directory, const char* path, int flags, mode_t mode = 0) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_NOFOLLOW | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  Fd file(static_cast<int>(::syscall(SYS_openat2, directory.get(), path, &how, sizeof how)));
  if (!file) return refuse(errno);
  return file;
}

Outcome<struct stat> status_of_descriptor(const Fd& fd) {
  struct stat status {};
  ATTEMPT(outcome_of(::fstat(fd.get(), &status)));
  return status;
}

Outcome<Found> found(Fd fd) {
  const struct stat status = ATTEMPT(status_of_descriptor(fd));
  const mode_t type = status.st_mode & S_IFMT;
  return Found{std::make_shared<const Object>(Object{std::move(fd), type}), status};
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// Where the kernel has it now. What has been removed has more behind its name.
Outcome<std::string> path_of(const Object& object) {
  std::array<char, PATH_MAX> room;
  const ssize_t size = ::readlink(path_by_descriptor(object).c_str(), room.data(), room.size());
  if (size < 0) return refuse(errno);
  if (static_cast<std::size_t>(size) == room.size()) return refuse(ENAMETOOLONG);
  return std::string(room.data(), static_cast<std::size_t>(size));
}

}  // namespace

Outcome<struct stat> status_of(const Object& object) { return status_of_descriptor(object.fd); }

std::string path_by_descriptor(const Object& object) {
  return "/proc/self/fd/" + std::to_string(object.fd.get());
}

Outcome<> try_tree(const Fd& root) {
  const Fd again = ATTEMPT(open_beneath(root, ".", O_PATH | O_DIRECTORY));
  return outcome_of(
      ::faccessat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(again.get())).c_str(), F_OK, 0));
}

Tree::Tree(Fd root) {
  (void)::fstat(root.get(), &status_);
  root_ = std::make_shared<const Object>(Object{std::move(root), status_.st_mode & S_IFMT});
}

bool Tree::is_root(const Object& object) const {
  const auto status = status_of(object);
  return status && is_same(*status, status_);
}

bool Tree::is_there() const {
  const auto status = status_of(*root_);
  return status && status->st_nlink != 0;
}

Outcome<Found> Tree::child(const Object& directory, const Name& name) const {
  return found(ATTEMPT(open_beneath(directory.fd, name.c_str(), O_PATH)));
}

Outcome<Found> Tree::parent(const Object& directory) const {
  if (is_root(directory)) return Found{root_, status_};
  return found(std::move(ATTEMPT(place_of(directory)).directory));
}

// The path is looked for below the root again, and must lead to the same file: somebody may rename
// what is on the way between the two.
Outcome<Place> Tree::place_of(const Object& object) const {
  const struct stat wanted = ATTEMPT(status_of(object));
  if (is_same(wanted, status_)) return refuse(EBUSY);
  if (wanted.st_nlink == 0) return refuse(ENOENT);
  std::string above = ATTEMPT(path_of(*root_));
  if (!above.ends_with('/')) above += '/';
  const std::string path = ATTEMPT(path_of(object));
  if (!path.starts_with(above)) return refuse(ESTALE);
  const std::size_t last = path.rfind('/');
  const std::string directory =
      last < above.size() ? "." : path.substr(above.size(), last - above.size());
  Place place{ATTEMPT(open_beneath(root_->fd, directory.c_str(), O_PATH | O_DIRECTORY)),
              ATTEMPT(Name::from(std::string_view(path).substr(last + 1)))};
  struct stat there {};
  ATTEMPT(outcome_of(
      ::fstatat(place.directory.get(), place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW)));
  if (!is_same(wanted, there)) return refuse(ESTALE);
  return place;
}

// O_NONBLOCK is for who has a lease on the file (fcntl(2)), whom an open would wait for.
Outcome<std::shared_ptr<const Object>> Tree::open(const Object& object, int flags) const {
  if (object.is_symbolic_link()) return refuse(ELOOP);
  if (!object.is_directory() && !S_ISREG(object.type)) return refuse(ENXIO);
  // Who shares "/" has /proc in it, where a regular file may be the memory of this process.
  struct statfs system {};
  ATTEMPT(outcome_of(::fstatfs(object.fd.get(), &system)));
  if (system.f_type == PROC_SUPER_MAGIC) return refuse(EACCES);
  Fd file(::open(path_by_descriptor(object).c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return refuse(errno);
  return std::make_shared<const Object>(Object{std::move(file), object.type});
}

// What is there already is looked at before it is opened, because it may be no regular file.
Outcome<Tree::Made> Tree::create(const Object& directory, const Name& name, int flags,
                                 mode_t mode) const {
  constexpr int kAttempts = 3;  // somebody may remove and make it in turns
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto file = open_beneath(directory.fd, name.c_str(),
                             flags | O_CREAT | O_EXCL | O_NOCTTY | O_NONBLOCK, mode);
    if (file) return Made{std::make_shared<const Object>(Object{*std::move(file), S_IFREG}), true};
    if (file.error() != EEXIST || (flags & O_EXCL) != 0) return refuse(file.error());
    const Outcome<Found> there = child(directory, name);
    if (there) return Made{ATTEMPT(open(*there->object, flags)), false};
    if (there.error() != ENOENT) return refuse(there.error());
  }
  return refuse(EEXIST);
}

}  // namespace ringside::share
