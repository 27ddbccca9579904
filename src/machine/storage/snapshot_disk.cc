#include "machine/storage/snapshot_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/file_at.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kSector = 512;

class SnapshotDisk final : public BlockBackend {
 public:
  SnapshotDisk(std::shared_ptr<BlockBackend> image, Fd file)
      : image_(std::move(image)), file_(std::move(file)), is_over_(image_->size() / kSector) {}

  std::uint64_t size() const override { return image_->size(); }
  bool read_only() const override { return false; }

  bool read(std::uint64_t offset, std::span<std::byte> out) override {
    while (!out.empty()) {
      const std::uint64_t size = alike(offset, out.size());
      const std::span<std::byte> part = out.first(size);
      const bool is_read = is_over_[offset / kSector] ? read_at(file_, offset, part) == size
                                                      : image_->read(offset, part);
      if (!is_read) return false;
      out = out.subspan(size);
      offset += size;
    }
    return true;
  }

  bool write(std::uint64_t offset, std::span<const std::byte> data) override {
    if (data.empty()) return true;
    const std::uint64_t end = offset + data.size();
    // Of a sector that is written in part the rest is to be there, too.
    if (offset % kSector != 0 && !take_over(offset / kSector)) return false;
    if (end % kSector != 0 && !take_over(end / kSector)) return false;
    if (!write_at(file_, offset, data)) return false;
    for (std::uint64_t sector = offset / kSector; sector * kSector < end; ++sector)
      is_over_[sector] = true;
    return true;
  }

  // Nothing of it is to outlive the process.
  Flush flush() override { return Flush::Done; }

 private:
  // So many bytes from `offset` on are in one place, at most `size`.
  std::uint64_t alike(std::uint64_t offset, std::uint64_t size) const {
    std::uint64_t sector = offset / kSector;
    const bool is_over = is_over_[sector];
    while (sector * kSector < offset + size && is_over_[sector] == is_over)
      ++sector;
    return std::min(offset + size, sector * kSector) - offset;
  }

  bool take_over(std::uint64_t sector) {
    if (is_over_[sector]) return true;
    std::array<std::byte, kSector> content{};
    if (!image_->read(sector * kSector, content) || !write_at(file_, sector * kSector, content))
      return false;
    is_over_[sector] = true;
    return true;
  }

  std::shared_ptr<BlockBackend> image_;
  Fd file_;
  std::vector<bool> is_over_;  // sectors that are in the file
};

// Not every file system knows files without a name.
Fd nameless_file(const std::string& directory) {
  Fd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return file;
  std::string name = directory + "/ringside-XXXXXX";
  file = Fd(::mkostemp(name.data(), O_CLOEXEC));
  if (file) ::unlink(name.c_str());
  return file;
}

}  // namespace

Result<std::shared_ptr<BlockBackend>> make_snapshot_disk(std::shared_ptr<BlockBackend> image,
                                                         const std::string& directory) {
  Fd file = nameless_file(directory);
  if (!file) {
    return fail(Error::from_errno(
        fmt::format("a disk's snapshot cannot be made in {} (TMPDIR names another directory)",
                    directory),
        errno));
  }
  return std::make_shared<SnapshotDisk>(std::move(image), std::move(file));
}

}  // namespace ringside::machine
