// What is in files: open(2), creat(2), pread(2), pwrite(2), fsync(2).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "base/file_at.h"
#include "share/handlers.h"
#include "share/ownership.h"

namespace ringside::share::handlers {
namespace {

// The flags of open(2) are sent as x86 has them. Those that are left out are the guest's own affair
// (O_CLOEXEC, O_NONBLOCK), want of buffers what ours need not have (O_DIRECT), or are refused to
// who does not own the file (O_NOATIME).
constexpr std::uint32_t kPassedOn = O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DIRECTORY;

int flags_of(std::uint32_t wanted) { return static_cast<int>(wanted & kPassedOn); }

bool changes_something(std::uint32_t wanted) {
  return (wanted & O_ACCMODE) != O_RDONLY || (wanted & O_TRUNC) != 0;
}

Outcome<> become_open(Session& session, Fid& fid, std::shared_ptr<const Object> opened,
                      Writer& out) {
  out.qid(ATTEMPT(session.qid_of(*opened)));
  out.u32(session.transfer());
  fid.object = std::move(opened);
  fid.is_open = true;
  return {};
}

// Places in a file that pread(2) and pwrite(2) have no number for.
bool is_beyond(std::uint64_t offset) {
  return offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
}

}  // namespace

Outcome<> open(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint32_t wanted = in.u32();
  ATTEMPT(in.end());
  Fid* const fid = ATTEMPT(session.fids.find(number));
  if (fid->is_open) return refuse(EINVAL);
  if (session.access == Access::ReadOnly && changes_something(wanted)) return refuse(EROFS);
  auto opened = ATTEMPT(session.tree.open(*fid->object, flags_of(wanted)));
  return become_open(session, *fid, std::move(opened), out);
}

// The directory's fid becomes the file's.
Outcome<> create(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::string_view text = in.string();
  const std::uint32_t wanted = in.u32();
  const std::uint32_t mode = in.u32() & ALLPERMS;
  const std::uint32_t group = in.u32();
  ATTEMPT(in.end());
  Fid* const fid = ATTEMPT(session.fids.find(number));
  if (fid->is_open) return refuse(EINVAL);
  const Name name = ATTEMPT(Name::from(text));
  const int flags = flags_of(wanted) | static_cast<int>(wanted & O_EXCL);
  auto made = ATTEMPT(session.tree.create(*fid->object, name, flags, mode));
  if (made.is_new) {
    give(*made.object, fid->user, group);
    // Giving a file away takes such bits from it.
    if ((mode & (S_ISUID | S_ISGID)) != 0) (void)::fchmod(made.object->fd.get(), mode);
  }
  return become_open(session, *fid, std::move(made.object), out);
}

Outcome<> read(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint64_t offset = in.u64();
  const std::uint32_t count = in.u32();
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find_open(number));
  if (fid->object->is_directory()) return refuse(EISDIR);
  if (is_beyond(offset)) return refuse(EINVAL);
  return out.counted(session.room(count), [&](std::span<std::byte> room) -> Outcome<std::size_t> {
    const std::optional<std::size_t> size = read_at(fid->object->fd, offset, room);
    if (!size) return refuse(errno);
    return *size;
  });
}

// As much as a write(2) takes: where the disk is full in the middle, the client hears of the part
// that was written, and of the error when it asks for the rest.
Outcome<> write(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint64_t offset = in.u64();
  const auto data = in.bytes(in.u32());
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find_open(number));
  if (is_beyond(offset)) return refuse(EINVAL);
  ssize_t written = 0;
  do {
    written = ::pwrite(fid->object->fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
  } while (written < 0 && errno == EINTR);
  ATTEMPT(outcome_of(written));
  out.u32(static_cast<std::uint32_t>(written));
  return {};
}

Outcome<> sync(Session& session, Reader& in, Writer&) {
  const std::uint32_t number = in.u32();
  const bool only_content = in.u32() != 0;
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find_open(number));
  const int file = fid->object->fd.get();
  return outcome_of(only_content ? ::fdatasync(file) : ::fsync(file));
}

}  // namespace ringside::share::handlers
