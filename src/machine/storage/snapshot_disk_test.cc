#include "machine/storage/snapshot_disk.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <random>

#include "machine/testing/memory_disk.h"

namespace ringside::machine {
namespace {

constexpr std::size_t kSize = 64 * 512;

// While it lives, no file of this process becomes larger.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  sighandler_t handler_;
};

struct SnapshotDiskTest : ::testing::Test {
  std::shared_ptr<testing::MemoryDisk> image = std::make_shared<testing::MemoryDisk>(kSize);
  std::shared_ptr<BlockBackend> disk;

  SnapshotDiskTest() {
    for (std::size_t i = 0; i < kSize; ++i)
      image->content[i] = static_cast<std::byte>(i / 512 + i);
    image->is_read_only = true;
    disk = make_snapshot_disk(image, ::testing::TempDir()).value();
  }
};

TEST_F(SnapshotDiskTest, IsAsLargeAsTheImageAndCanBeWritten) {
  EXPECT_EQ(disk->size(), kSize);
  EXPECT_FALSE(disk->read_only());
  EXPECT_TRUE(flush_all(*disk));
  EXPECT_EQ(image->flushes, 0u);
}

// Any pieces, of which another disk has the same.
TEST_F(SnapshotDiskTest, ReadsWhatWasWrittenOverTheImage) {
  const std::vector<std::byte> before(image->content.begin(), image->content.end());
  std::vector<std::byte> expected = before;
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t offset = random() % kSize;
    const std::size_t size = random() % std::min<std::size_t>(kSize - offset + 1, 3000);
    std::vector<std::byte> data(size);
    if (random() % 3 == 0) {
      for (std::byte& byte : data)
        byte = static_cast<std::byte>(random());
      std::copy(data.begin(), data.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
      ASSERT_TRUE(write_all(*disk, offset, data));
    } else {
      ASSERT_TRUE(read_all(*disk, offset, data));
      ASSERT_TRUE(std::equal(data.begin(), data.end(),
                             expected.begin() + static_cast<std::ptrdiff_t>(offset)));
    }
  }
  EXPECT_TRUE(std::equal(before.begin(), before.end(), image->content.begin()));
}

// The same in several pieces of memory.
TEST_F(SnapshotDiskTest, MovesPieces) {
  std::vector<std::byte> expected(image->content.begin(), image->content.end());
  std::mt19937 random(12);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t unit = random() % 2 == 0 ? 512 : 1;
    const std::size_t offset = random() % (kSize / unit) * unit;
    std::vector<std::vector<std::byte>> memory;
    std::vector<std::span<const std::byte>> to_write;
    std::vector<std::span<std::byte>> to_fill;
    for (std::size_t at = offset; at < kSize && memory.size() < 5;) {
      const std::size_t size =
          std::min<std::size_t>(kSize - at, unit * (1 + random() % (1500 / unit)));
      memory.emplace_back(size);
      at += size;
    }
    for (std::vector<std::byte>& piece : memory) {
      for (std::byte& byte : piece)
        byte = static_cast<std::byte>(random());
      to_write.emplace_back(piece);
      to_fill.emplace_back(piece);
    }
    auto place = expected.begin() + static_cast<std::ptrdiff_t>(offset);
    const bool writes = random() % 3 == 0;
    ASSERT_EQ(writes ? disk->write_pieces(offset, to_write) : disk->read_pieces(offset, to_fill),
              machine::size_of_all(to_fill));
    for (const std::vector<std::byte>& piece : memory) {
      if (writes) std::copy(piece.begin(), piece.end(), place);
      ASSERT_TRUE(std::equal(piece.begin(), piece.end(), place));
      place += static_cast<std::ptrdiff_t>(piece.size());
    }
  }
}

// Where there is no more room for it: of so much as it says, and of no byte more, the disk has the
// new content.
TEST_F(SnapshotDiskTest, SaysHowMuchWasWritten) {
  std::vector<std::byte> expected(image->content.begin(), image->content.end());
  for (const std::size_t offset : {3 * 512u, 2 * 512u + 100, 4 * 512u, 5 * 512u, 4 * 512u + 512}) {
    std::vector<std::byte> first(300, static_cast<std::byte>(offset / 64)), second(1748, first[0]);
    const std::span<const std::byte> pieces[] = {first, second};
    const FileSizeLimit limit(4 * 512 + 700);
    const std::uint64_t written = disk->write_pieces(offset, pieces);
    EXPECT_LT(written, 2048u);
    for (std::size_t i = 0; i < written; ++i)
      expected[offset + i] = first[0];
    std::vector<std::byte> seen(expected.size());
    ASSERT_TRUE(read_all(*disk, 0, seen));
    EXPECT_EQ(seen, expected) << offset;
  }
}

TEST_F(SnapshotDiskTest, TellsTheImagesErrors) {
  std::vector<std::byte> sector(512), part(100);
  ASSERT_TRUE(write_all(*disk, 0, sector));
  image->broken = true;
  EXPECT_TRUE(read_all(*disk, 0, sector));
  EXPECT_FALSE(read_all(*disk, 512, sector));
  EXPECT_FALSE(write_all(*disk, 512, part));
  EXPECT_TRUE(write_all(*disk, 1024, sector));
}

// A server's, which has it wait: it is asked once, for what is not here.
TEST_F(SnapshotDiskTest, AsksAnImageSomewhereElseOnce) {
  image->remote = true;
  const std::vector<std::byte> written(512, std::byte{0x5a});
  ASSERT_TRUE(write_all(*disk, 2 * 512, written));
  ASSERT_TRUE(write_all(*disk, 4 * 512, written));
  image->moved = 0;
  image->waits = 2;
  std::vector<std::byte> read(4 * 512);
  EXPECT_TRUE(disk->is_remote());
  EXPECT_EQ(disk->read(512, read), BlockBackend::Outcome::UnderWay);
  EXPECT_EQ(disk->read(512, read), BlockBackend::Outcome::UnderWay);
  EXPECT_EQ(disk->read(512, read), BlockBackend::Outcome::Done);
  EXPECT_EQ(image->moved, 3u * 512) << "the sectors 1 to 3";
  std::vector<std::byte> expected(image->content.begin() + 512, image->content.begin() + 5 * 512);
  std::copy(written.begin(), written.end(), expected.begin() + 512);
  std::copy(written.begin(), written.end(), expected.begin() + 3 * 512);
  EXPECT_EQ(read, expected);
  ASSERT_TRUE(disk->read(2 * 512, std::span(read).first(512)) == BlockBackend::Outcome::Done);
  EXPECT_EQ(image->moved, 3u * 512);
}

// Nearly all of it is a hole, as of an image that was made larger than any disk.
class EndlessHole final : public BlockBackend {
 public:
  std::uint64_t size() const override { return std::uint64_t{1} << 62; }
  bool read_only() const override { return true; }
  Outcome read(std::uint64_t, std::span<std::byte> out) override {
    std::ranges::fill(out, std::byte{0});
    return Outcome::Done;
  }
  Outcome write(std::uint64_t, std::span<const std::byte>) override { return Outcome::Failed; }
  Outcome flush() override { return Outcome::Done; }
};

TEST(SnapshotDisk, TakesMemoryForWhatIsWrittenAndNotForWhatTheImageHas) {
  const auto image = std::make_shared<EndlessHole>();
  const auto disk = make_snapshot_disk(image, ::testing::TempDir()).value();
  const std::uint64_t far = std::uint64_t{1} << 40;
  const std::vector<std::byte> data(3 * 512, std::byte{0x5a});
  ASSERT_TRUE(
      write_all(*disk, far - 512, data));  // on both sides of a boundary of whatever is kept
  std::vector<std::byte> read(5 * 512), expected(5 * 512);
  std::copy(data.begin(), data.end(), expected.begin() + 512);
  ASSERT_TRUE(read_all(*disk, far - 1024, read));
  EXPECT_EQ(read, expected);
  EXPECT_TRUE(read_all(*disk, image->size() - 512, std::span(read).first(512)));
}

TEST(SnapshotDisk, NeedsADirectory) {
  const auto disk = make_snapshot_disk(std::make_shared<testing::MemoryDisk>(512), "/nowhere");
  ASSERT_FALSE(disk);
  EXPECT_NE(disk.error().text().find("a disk's snapshot cannot be made in /nowhere"),
            std::string::npos);
}

}  // namespace
}  // namespace ringside::machine
