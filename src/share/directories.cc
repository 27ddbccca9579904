// What is in a directory (getdents64(2)).
#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "share/handlers.h"

namespace ringside::share::handlers {
namespace {

// qid[13] offset[8] type[1] and the length of the name.
constexpr std::size_t kBeforeName = 13 + 8 + 1 + 2;
constexpr std::size_t kMostAtOnce = 32 * 1024;

struct Entry {
  ino_t inode = 0;
  std::uint64_t next = 0;  // where the one after it is to be had
  unsigned char type = DT_UNKNOWN;
  std::string_view name;
  std::size_t size = 0;  // of the kernel's record
};

// The kernel's records have no name for their layout but that of glibc's entry.
Entry entry_at(std::span<const char> records) {
  dirent64 fixed;
  constexpr std::size_t kName = offsetof(dirent64, d_name);
  std::memcpy(static_cast<void*>(&fixed), records.data(), kName);
  return {fixed.d_ino, static_cast<std::uint64_t>(fixed.d_off), fixed.d_type,
          records.data() + kName, fixed.d_reclen};
}

}  // namespace

// As many as there is room for, from a place that the answer for an entry has given. A client that
// makes places up gets entries from somewhere, or an error.
Outcome<> read_directory(Session& session, Reader& in, Writer& out) {
  const std::uint32_t number = in.u32();
  const std::uint64_t offset = in.u64();
  const std::size_t most = session.room(in.u32());
  ATTEMPT(in.end());
  const Fid* const fid = ATTEMPT(session.fids.find_open(number));
  if (!fid->object->is_directory()) return refuse(ENOTDIR);
  const int directory = fid->object->fd.get();
  ATTEMPT(outcome_of(::lseek(directory, static_cast<off_t>(offset), SEEK_SET)));
  std::vector<char> room(std::min(most, kMostAtOnce));
  const long size = ::syscall(SYS_getdents64, directory, room.data(), room.size());
  ATTEMPT(outcome_of(size));
  const dev_t device = ATTEMPT(status_of(*fid->object)).st_dev;
  const bool is_root = session.tree.is_root(*fid->object);

  std::span<const char> records(room.data(), static_cast<std::size_t>(size));
  const std::size_t begin = out.begin_counted();
  while (!records.empty()) {
    const Entry entry = entry_at(records);
    if (out.size() - begin + kBeforeName + entry.name.size() > most) break;
    // What is above the folder is nobody's business.
    const ino_t inode = is_root && entry.name == ".." ? session.tree.inode() : entry.inode;
    out.qid(ATTEMPT(session.qids.of_entry(device, inode, entry.type)));
    out.u64(entry.next);
    out.u8(entry.type);
    out.string(entry.name);
    records = records.subspan(entry.size);
  }
  // getdents64(2), where not even one fits.
  if (size != 0 && out.size() == begin) return refuse(EINVAL);
  out.end_counted(begin);
  return {};
}

}  // namespace ringside::share::handlers
