#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/file_at.h"
#include "machine/storage/block_backend.h"
#include "machine/storage/file_trouble.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kSector = 512;
// A flush writes so much to the disk at a time, and the last few of these at once.
constexpr std::uint64_t kChunk = 4 << 20;
constexpr std::size_t kFewChunks = 4;

class RawDisk final : public BlockBackend {
 public:
  // `name`: for who reads what is said of it.
  RawDisk(std::string name, Fd fd, std::uint64_t size, bool read_only)
      : fd_(std::move(fd)), size_(size), read_only_(read_only), trouble_(std::move(name)) {}

  std::uint64_t size() const override { return size_; }
  bool read_only() const override { return read_only_; }

  Outcome read(std::uint64_t offset, std::span<std::byte> out) override {
    if (read_at(fd_, offset, out) != out.size()) return read_failed(offset);
    trouble_.works(Operation::Read, offset, out.size());
    return Outcome::Done;
  }

  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override {
    note_written(offset, data.size());
    if (!write_at(fd_, offset, data)) return failed(Operation::Write, offset);
    trouble_.works(Operation::Write, offset, data.size());
    return Outcome::Done;
  }

  std::uint64_t read_pieces(std::uint64_t offset, PiecesToFill pieces) override {
    const std::uint64_t done = move_pieces_at(::preadv, fd_, offset, pieces);
    if (done < size_of_all(pieces)) (void)read_failed(offset + done);
    trouble_.works(Operation::Read, offset, done);
    return done;
  }

  std::uint64_t write_pieces(std::uint64_t offset, PiecesOfData pieces) override {
    note_written(offset, size_of_all(pieces));
    const std::uint64_t done = move_pieces_at(::pwritev, fd_, offset, pieces);
    if (done < size_of_all(pieces)) (void)failed(Operation::Write, offset + done);
    trouble_.works(Operation::Write, offset, done);
    return done;
  }

  // Where a file system does not know of holes, everything is data.
  std::uint64_t after_hole(std::uint64_t offset) const override {
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data >= 0) return std::min(static_cast<std::uint64_t>(data), size_);
    return errno == ENXIO ? size_ : offset;
  }

  Outcome flush() override {
    if (dirty_.size() > kFewChunks) {
      sync_chunk(*dirty_.begin());
      dirty_.erase(dirty_.begin());
      return Outcome::UnderWay;
    }
    dirty_.clear();
    const int before = std::exchange(chunk_error_, 0);
    const int error = ::fdatasync(fd_.get()) == 0 ? before : errno;
    if (error != 0) {
      trouble_.fails(Operation::Flush, 0, error);
      return Outcome::Failed;
    }
    trouble_.works(Operation::Flush, 0, size_);
    return Outcome::Done;
  }

 private:
  using Operation = FileTrouble::Operation;

  Outcome failed(Operation operation, std::uint64_t offset) {
    trouble_.fails(operation, offset, errno);
    return Outcome::Failed;
  }
  Outcome read_failed(std::uint64_t offset) {
    trouble_.read_fails(fd_, size_, offset, errno);
    return Outcome::Failed;
  }

  void note_written(std::uint64_t offset, std::uint64_t size) {
    for (std::uint64_t chunk = offset / kChunk; chunk * kChunk < offset + size; ++chunk)
      dirty_.insert(chunk);
  }

  // What cannot be done here, fdatasync does. But an error of the disk is told only once.
  void sync_chunk(std::uint64_t chunk) {
    constexpr unsigned kAll =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const int done = ::sync_file_range(fd_.get(), static_cast<off64_t>(chunk * kChunk),
                                       static_cast<off64_t>(kChunk), kAll);
    if (done != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT)) chunk_error_ = errno;
  }

  Fd fd_;
  std::uint64_t size_;
  bool read_only_;
  std::set<std::uint64_t> dirty_;  // chunks that were written to since the last flush
  int chunk_error_ = 0;            // errno(3) of one that failed since then
  FileTrouble trouble_;
};

// The size of a file, or of a block device.
Result<std::uint64_t> disk_size(const Fd& fd, const std::string& name) {
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) {
    return fail(Error::from_errno(name, errno));
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    return fail(ErrorCode::BadRequest, fmt::format("{} is not a file", name));
  }
  const off_t end = ::lseek(fd.get(), 0, SEEK_END);
  if (end < 0) return fail(Error::from_errno(name, errno));
  return static_cast<std::uint64_t>(end);
}

// Image formats that are not raw: a guest that wrote to one as if it were would destroy it. Numbers
// from the formats' specifications (docs/interop of QEMU, VirtualBox' VDICore.h, [MS-VHDX] 2.2).
struct Format {
  std::uint64_t offset;
  std::string_view magic, name;
};
constexpr Format kFormats[] = {
    {0, {"QFI\xfb", 4}, "qcow2"},
    {0, {"QED\0", 4}, "QED"},
    {0, "KDMV", "VMDK"},
    {0, "COWD", "VMDK"},
    {0, "# Disk DescriptorFile", "VMDK"},
    {0x40, {"\x7f\x10\xda\xbe", 4}, "VDI"},
    {0, "vhdxfile", "VHDX"},
    {0, "conectix", "VHD"},
};

Result<void> refuse_other_formats(const Fd& fd, const std::string& name) {
  std::array<char, kSector> head{};
  const auto read = read_at(fd, 0, std::as_writable_bytes(std::span(head)));
  if (!read) return fail(Error::from_errno(name, errno));
  const std::string_view bytes(head.data(), head.size());
  for (const Format& format : kFormats) {
    if (!bytes.substr(format.offset).starts_with(format.magic)) continue;
    return fail(ErrorCode::BadRequest,
                fmt::format("{} is {}, not raw; 'qemu-nbd -t -k SOCKET' serves it for "
                            "-d nbd+unix:SOCKET, 'qemu-img convert -O raw' makes a raw image of it",
                            name, format.name));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<BlockBackend>> open_raw_disk(const std::string& path, bool read_only,
                                                    std::string_view what) {
  const std::string name = fmt::format("{} {}", what, path);
  // O_NONBLOCK, because nobody may ever write to a FIFO; it means nothing to what is taken.
  Fd fd(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail(Error::from_errno(name, errno));
  const std::uint64_t size = TRY(disk_size(fd, name));
  TRY(refuse_other_formats(fd, name));
  if (size == 0 || size % kSector != 0) {
    return fail(ErrorCode::BadRequest,
                fmt::format("{}: {} bytes are not whole 512-byte sectors", name, size));
  }
  const int lock = read_only ? LOCK_SH : LOCK_EX;
  int locked = 0;
  do {
    locked = ::flock(fd.get(), lock | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0 && errno == EWOULDBLOCK)
    return fail(ErrorCode::Busy, fmt::format("{} is in use by another machine", name));
  if (locked != 0) return fail(Error::from_errno(fmt::format("{} cannot be locked", name), errno));
  return std::make_shared<RawDisk>(name, std::move(fd), size, read_only);
}

}  // namespace ringside::machine
