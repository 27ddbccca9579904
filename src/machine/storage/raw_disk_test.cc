// That a flush is the host's own: this file stands between the disk and the C library's fdatasync.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "machine/storage/block_backend.h"

namespace {
std::vector<int> g_synced;  // descriptors
bool g_sync_fails = false;
}  // namespace

// What the disk calls, instead of the library's.
extern "C" int fdatasync(int fd) {
  g_synced.push_back(fd);
  if (g_sync_fails) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace ringside::machine {
namespace {

class RawDiskFlush : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(path_, std::ios::binary) << std::string(4096, '.');
    g_synced.clear();
  }
  void TearDown() override {
    g_sync_fails = false;
    ::unlink(path_.c_str());
  }
  // Whether it is our image that the descriptor is of.
  bool is_image(int fd) const {
    struct stat open = {}, named = {};
    return ::fstat(fd, &open) == 0 && ::stat(path_.c_str(), &named) == 0 &&
           open.st_dev == named.st_dev && open.st_ino == named.st_ino;
  }
  const std::string path_ = testing::TempDir() + "raw_disk_test." + std::to_string(getpid());
};

TEST_F(RawDiskFlush, ReachesTheHostsDisk) {
  const auto disk = open_raw_disk(path_, false);
  ASSERT_TRUE(disk);
  const std::byte data[512] = {std::byte{1}};
  ASSERT_TRUE(write_all(**disk, 0, data));
  EXPECT_TRUE(g_synced.empty());
  EXPECT_EQ((*disk)->flush(), BlockBackend::Outcome::Done);
  ASSERT_EQ(g_synced.size(), 1u);
  EXPECT_TRUE(is_image(g_synced[0]));
}

TEST_F(RawDiskFlush, ThatFailsFailsForTheGuestToo) {
  const auto disk = open_raw_disk(path_, false);
  ASSERT_TRUE(disk);
  g_sync_fails = true;
  EXPECT_EQ((*disk)->flush(), BlockBackend::Outcome::Failed);
}

// However much was written, a call takes so long as a few MiB do.
TEST_F(RawDiskFlush, OfMuchIsDoneInParts) {
  constexpr std::uint64_t kChunk = 4 << 20;
  ASSERT_EQ(::truncate(path_.c_str(), 16 * kChunk), 0);
  const auto disk = open_raw_disk(path_, false);
  ASSERT_TRUE(disk);
  const std::byte data[512] = {std::byte{1}};
  for (std::uint64_t chunk = 0; chunk < 16; ++chunk)
    ASSERT_TRUE(write_all(**disk, chunk * kChunk, data));
  for (unsigned part = 0; part < 12; ++part) {
    EXPECT_EQ((*disk)->flush(), BlockBackend::Outcome::UnderWay);
    EXPECT_TRUE(g_synced.empty());
  }
  EXPECT_EQ((*disk)->flush(), BlockBackend::Outcome::Done);
  EXPECT_EQ(g_synced.size(), 1u);
  EXPECT_EQ((*disk)->flush(), BlockBackend::Outcome::Done);
}

// More pieces than one system call takes, of odd sizes; and a file that has become shorter.
TEST_F(RawDiskFlush, PiecesAreMovedInTheirOrderAsFarAsItGoes) {
  constexpr std::size_t kPieces = 300;
  ASSERT_EQ(::truncate(path_.c_str(), 1 << 20), 0);
  const auto disk = open_raw_disk(path_, false);
  ASSERT_TRUE(disk);
  std::vector<std::byte> data(1 << 19), seen(data.size());
  std::vector<std::span<const std::byte>> to_write;
  std::vector<std::span<std::byte>> to_fill;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kPieces; ++i) {
    const std::size_t part = 1 + i * 7 % 1024;
    to_write.push_back(std::span(data).subspan(size, part));
    to_fill.push_back(std::span(seen).subspan(size, part));
    size += part;
  }
  for (std::size_t i = 0; i < size; ++i)
    data[i] = static_cast<std::byte>(i * 31 >> 3);
  EXPECT_EQ((*disk)->write_pieces(512, to_write), size);
  EXPECT_EQ((*disk)->read_pieces(512, to_fill), size);
  EXPECT_EQ(seen, data);
  EXPECT_TRUE(read_all(**disk, 512, std::span(seen).first(size)));
  EXPECT_EQ(seen, data);
  // In the midst of a piece.
  const auto last = static_cast<std::size_t>(to_fill[200].data() - seen.data()) + 1;
  ASSERT_EQ(::truncate(path_.c_str(), static_cast<off_t>(512 + last)), 0);
  EXPECT_EQ((*disk)->read_pieces(512, to_fill), last);
}

// The first bytes of images as qemu-img makes them.
TEST_F(RawDiskFlush, ImagesOfOtherFormatsAreRefusedAndStayAsTheyAre) {
  struct Row {
    std::size_t offset;
    std::string magic, name;
  };
  const Row rows[] = {
      {0, "QFI\xfb", "qcow2"}, {0, std::string("QED\0", 4), "QED"},
      {0, "KDMV", "VMDK"},     {0, "COWD", "VMDK"},
      {0, "vhdxfile", "VHDX"}, {0, "# Disk DescriptorFile\nversion=1\n", "VMDK"},
      {0, "conectix", "VHD"},  {0x40, "\x7f\x10\xda\xbe", "VDI"},
  };
  for (const Row& row : rows) {
    std::string content(4096, '.');
    content.replace(row.offset, row.magic.size(), row.magic);
    std::ofstream(path_, std::ios::binary) << content;
    for (const bool read_only : {false, true}) {
      const auto disk = open_raw_disk(path_, read_only);
      ASSERT_FALSE(disk) << row.name;
      EXPECT_EQ(disk.error().text(), "disk image " + path_ + " is " + row.name +
                                         ", not raw; 'qemu-nbd -t -k SOCKET' serves it for -d "
                                         "nbd+unix:SOCKET, 'qemu-img convert -O raw' makes a raw "
                                         "image of it");
    }
    std::ifstream stream(path_, std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), content);
  }
  // Anywhere else such bytes are a guest's data.
  std::ofstream(path_, std::ios::binary)
      << std::string(512, '.') + "QFI\xfb" + std::string(508, '.');
  EXPECT_TRUE(open_raw_disk(path_, false));
}

// Nobody may ever be at its other end.
TEST(RawDiskOfAFifo, IsRefusedWithoutWaiting) {
  const std::string path = testing::TempDir() + "raw_disk_fifo." + std::to_string(getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  for (const bool read_only : {true, false}) {
    const auto disk = open_raw_disk(path, read_only);
    ASSERT_FALSE(disk);
    EXPECT_EQ(disk.error().text(), "disk image " + path + " is not a file");
  }
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace ringside::machine
