// What is known of files: fstat(2), chmod(2), chown(2), truncate(2), utimensat(2), statfs(2).
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "share/handlers.h"

namespace ringside::share::handlers {
namespace {

// Which of the answer's numbers are right: those that stat(2) has, whichever were asked for.
constexpr std::uint64_t kBasicAttributes = 0x7ff;

// What a request sets.
enum Wanted : std::uint32_t {
  kMode = 0x001,
  kUser = 0x002,
  kGroup = 0x004,
  kSize = 0x008,
  kAccessTime = 0x010,
  kChangeTime = 0x020,  // of what is in it
  kStatusTime = 0x040,
  kThisAccessTime = 0x080,  // and not now
  kThisChangeTime = 0x100,
  kAll = 0x1ff,
};

struct Time {
  std::uint64_t seconds = 0, nanoseconds = 0;
};

void put(const timespec& time, Writer& out) {
  out.u64(static_cast<std::uint64_t>(time.tv_sec));
  out.u64(static_cast<std::uint64_t>(time.tv_nsec));
}

Time time_of(Reader& in) {
  Time time;
  time.seconds = in.u64();
  time.nanoseconds = in.u64();
  return time;
}

// Numbers of nanoseconds that are too large have a meaning of their own in utimensat(2).
Outcome<timespec> time_to_set(const Time& time, bool is_set, bool is_this) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  if (!is_set) return timespec{0, UTIME_OMIT};
  if (!is_this) return timespec{0, UTIME_NOW};
  if (time.nanoseconds >= kSecond) return refuse(EINVAL);
  return timespec{static_cast<time_t>(time.seconds), static_cast<long>(time.nanoseconds)};
}

// A descriptor that the guest has opened may write where its mode would not permit it any more.
Outcome<> set_size(const Tree& tree, const Fid& fid, std::uint64_t size) {
  const auto wanted = static_cast<off_t>(size);
  if (fid.is_open && ::ftruncate(fid.object->fd.get(), wanted) == 0) return {};
  const auto writable = ATTEMPT(tree.open(*fid.object, O_WRONLY));
  return outcome_of(::ftruncate(writable->fd.get(), wanted));
}

}  // namespace

Outcome<> get_attributes(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  in.u64();  // what is asked for
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find(number));
  const struct stat status = ATTEMPT(status_of(*fid->object));
  out.u64(kBasicAttributes);
  out.qid(ATTEMPT(session.qids.of(status)));
  out.u32(status.st_mode);
  out.u32(status.st_uid);
  out.u32(status.st_gid);
  out.u64(status.st_nlink);
  out.u64(status.st_rdev);
  out.u64(static_cast<std::uint64_t>(status.st_size));
  out.u64(static_cast<std::uint64_t>(status.st_blksize));
  out.u64(static_cast<std::uint64_t>(status.st_blocks));
  put(status.st_atim, out);
  put(status.st_mtim, out);
  put(status.st_ctim, out);
  put({}, out);  // when it was made, its generation, the version of its data: reserved
  out.u64(0);
  out.u64(0);
  return {};
}

// The owner first, because that takes bits of the mode; times last, because all else sets them.
Outcome<> set_attributes(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  const std::uint32_t wanted = in.u32();
  const std::uint32_t mode = in.u32() & ALLPERMS;
  const std::uint32_t user = in.u32();
  const std::uint32_t group = in.u32();
  const std::uint64_t size = in.u64();
  const Time access = time_of(in);
  const Time change = time_of(in);
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find(number));
  if ((wanted & ~std::uint32_t{kAll}) != 0) return refuse(EINVAL);
  const auto is_wanted = [&](Wanted which) { return (wanted & which) != 0; };
  const std::array<timespec, 2> times{
      ATTEMPT(time_to_set(access, is_wanted(kAccessTime), is_wanted(kThisAccessTime))),
      ATTEMPT(time_to_set(change, is_wanted(kChangeTime), is_wanted(kThisChangeTime)))};
  const Object& object = *fid->object;
  const int file = object.fd.get();

  // A change of nothing sets the status's time, too.
  if (is_wanted(kUser) || is_wanted(kGroup) || wanted == kStatusTime) {
    ATTEMPT(outcome_of(::fchownat(file, "", is_wanted(kUser) ? user : kNoUser,
                                  is_wanted(kGroup) ? group : kNoUser, AT_EMPTY_PATH)));
  }
  if (is_wanted(kMode)) {
    if (object.is_symbolic_link()) return refuse(EOPNOTSUPP);
    ATTEMPT(outcome_of(::fchmodat(AT_FDCWD, path_by_descriptor(object).c_str(), mode, 0)));
  }
  if (is_wanted(kSize)) ATTEMPT(set_size(session.tree, *fid, size));
  if (is_wanted(kAccessTime) || is_wanted(kChangeTime))
    ATTEMPT(outcome_of(::utimensat(file, "", times.data(), AT_EMPTY_PATH)));
  return {};
}

Outcome<> stat_file_system(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find(number));
  struct statfs system {};
  ATTEMPT(outcome_of(::fstatfs(fid->object->fd.get(), &system)));
  std::uint64_t identity = 0;
  static_assert(sizeof identity == sizeof system.f_fsid);
  std::memcpy(&identity, &system.f_fsid, sizeof identity);
  out.u32(static_cast<std::uint32_t>(system.f_type));
  out.u32(static_cast<std::uint32_t>(system.f_bsize));
  out.u64(system.f_blocks);
  out.u64(system.f_bfree);
  out.u64(system.f_bavail);
  out.u64(system.f_files);
  out.u64(system.f_ffree);
  out.u64(identity);
  out.u32(static_cast<std::uint32_t>(system.f_namelen));
  return {};
}

}  // namespace ringside::share::handlers
