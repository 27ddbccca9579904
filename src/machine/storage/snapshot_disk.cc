#include "machine/storage/snapshot_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include "base/fd.h"
#include "base/file_at.h"
#include "machine/storage/file_trouble.h"

namespace ringside::machine {
namespace {

constexpr std::uint64_t kSector = 512;

// The sectors that have been written: as large as what was written, not as the image, of which
// most may be a hole.
class WrittenSectors {
 public:
  bool empty() const { return chunks_.empty(); }
  bool contains(std::uint64_t sector) const {
    const auto found = chunks_.find(sector / kChunk);
    return found != chunks_.end() && found->second[sector % kChunk];
  }
  // Of [first, end).
  void insert(std::uint64_t first, std::uint64_t end) {
    while (first < end) {
      std::bitset<kChunk>& chunk = chunks_[first / kChunk];
      const std::uint64_t chunk_end = std::min(end, (first / kChunk + 1) * kChunk);
      for (; first < chunk_end; ++first)
        chunk.set(first % kChunk);
    }
  }
  // The first of [first, end) that is not as `first` is, or `end`.
  std::uint64_t end_of_run(std::uint64_t first, std::uint64_t end) const {
    const bool kind = contains(first);
    while (first < end) {
      const auto found = chunks_.find(first / kChunk);
      const std::uint64_t chunk_end = std::min(end, (first / kChunk + 1) * kChunk);
      if (found == chunks_.end() && kind) return first;
      for (; found != chunks_.end() && first < chunk_end; ++first)
        if (found->second[first % kChunk] != kind) return first;
      first = chunk_end;
    }
    return end;
  }

 private:
  static constexpr std::uint64_t kChunk = 512;
  std::unordered_map<std::uint64_t, std::bitset<kChunk>> chunks_;
};

class SnapshotDisk final : public BlockBackend {
 public:
  // `name` of the file: for who reads what is said of it.
  SnapshotDisk(std::shared_ptr<BlockBackend> image, Fd file, std::string name)
      : image_(std::move(image)), file_(std::move(file)), trouble_(std::move(name)) {}

  std::uint64_t size() const override { return image_->size(); }
  bool read_only() const override { return false; }
  bool is_remote() const override { return image_->is_remote(); }

  // The image is read with one call, which can be under way, from the first sector to the last that
  // are in it.
  Outcome read(std::uint64_t offset, std::span<std::byte> out) override {
    const Range image = range_in_image(offset, out.size());
    if (image.size != 0) {
      const Outcome outcome =
          image_->read(image.offset, out.subspan(image.offset - offset, image.size));
      if (outcome != Outcome::Done) return outcome;
    }
    while (!out.empty()) {
      const std::uint64_t size = alike(offset, out.size());
      if (written_.contains(offset / kSector)) {
        const std::span<std::byte> piece = out.first(size);
        if (read_here(offset, std::span(&piece, 1)) != size) return Outcome::Failed;
      }
      out = out.subspan(size);
      offset += size;
    }
    return Outcome::Done;
  }

  Outcome write(std::uint64_t offset, std::span<const std::byte> data) override {
    return write_to_file(offset, data) ? Outcome::Done : Outcome::Failed;
  }

  std::uint64_t read_pieces(std::uint64_t offset, PiecesToFill pieces) override {
    const std::uint64_t size = size_of_all(pieces);
    if (alike(offset, size) != size) return BlockBackend::read_pieces(offset, pieces);
    return written_.contains(offset / kSector) ? read_here(offset, pieces)
                                               : image_->read_pieces(offset, pieces);
  }

  std::uint64_t write_pieces(std::uint64_t offset, PiecesOfData pieces) override {
    const std::uint64_t size = size_of_all(pieces);
    if (!take_over_ends(offset, offset + size)) return BlockBackend::write_pieces(offset, pieces);
    const std::uint64_t done = move_pieces_at(::pwritev, file_, offset, pieces);
    if (done < size) trouble_.fails(FileTrouble::Operation::Write, offset + done, errno);
    trouble_.works(FileTrouble::Operation::Write, offset, done);
    const std::uint64_t end = offset + done;
    written_.insert(offset / kSector, end / kSector);
    // What is in the file of a sector whose rest is not is seen by nobody.
    return (written_.contains(end / kSector) ? end : end - end % kSector) - offset;
  }

  std::uint64_t after_hole(std::uint64_t offset) const override {
    return written_.empty() ? image_->after_hole(offset) : offset;
  }

  // Nothing of it is to outlive the process.
  Outcome flush() override { return Outcome::Done; }

 private:
  struct Range {
    std::uint64_t offset = 0, size = 0;
  };

  // The smallest that has all of [offset, offset + size) which is not in the file.
  Range range_in_image(std::uint64_t offset, std::uint64_t size) const {
    Range range;
    const std::uint64_t end = offset + size;
    for (std::uint64_t at = offset; at < end;) {
      const std::uint64_t part = alike(at, end - at);
      if (!written_.contains(at / kSector)) {
        if (range.size == 0) range.offset = at;
        range.size = at + part - range.offset;
      }
      at += part;
    }
    return range;
  }

  bool write_to_file(std::uint64_t offset, std::span<const std::byte> data) {
    if (data.empty()) return true;
    const std::uint64_t end = offset + data.size();
    if (!take_over_ends(offset, end)) return false;
    if (!write_here(offset, data)) return false;
    written_.insert(offset / kSector, (end + kSector - 1) / kSector);
    return true;
  }

  std::uint64_t read_here(std::uint64_t offset, PiecesToFill pieces) {
    using enum FileTrouble::Operation;
    const std::uint64_t done = move_pieces_at(::preadv, file_, offset, pieces);
    if (done < size_of_all(pieces)) trouble_.fails(Read, offset + done, errno);
    trouble_.works(Read, offset, done);
    return done;
  }

  bool write_here(std::uint64_t offset, std::span<const std::byte> data) {
    using enum FileTrouble::Operation;
    if (!write_at(file_, offset, data)) {
      trouble_.fails(Write, offset, errno);
      return false;
    }
    trouble_.works(Write, offset, data.size());
    return true;
  }

  // So many bytes from `offset` on are in one place, at most `size`.
  std::uint64_t alike(std::uint64_t offset, std::uint64_t size) const {
    const std::uint64_t end = offset + size;
    const std::uint64_t sector =
        written_.end_of_run(offset / kSector, (end + kSector - 1) / kSector);
    return std::min(end, sector * kSector) - offset;
  }

  // Of a sector that is written in part the rest is to be there, too.
  bool take_over_ends(std::uint64_t offset, std::uint64_t end) {
    return (offset % kSector == 0 || take_over(offset / kSector)) &&
           (end % kSector == 0 || take_over(end / kSector));
  }

  bool take_over(std::uint64_t sector) {
    if (written_.contains(sector)) return true;
    std::array<std::byte, kSector> content{};
    if (!read_all(*image_, sector * kSector, content) || !write_here(sector * kSector, content))
      return false;
    written_.insert(sector, sector + 1);
    return true;
  }

  std::shared_ptr<BlockBackend> image_;
  Fd file_;
  WrittenSectors written_;  // these are in the file
  FileTrouble trouble_;
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
  return std::make_shared<SnapshotDisk>(
      std::move(image), std::move(file),
      fmt::format("a disk's snapshot in {} (TMPDIR names another directory)", directory));
}

}  // namespace ringside::machine
