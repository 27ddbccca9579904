// What is said of a file that fails: one line for each cause, however often it is asked.
#include "machine/storage/file_trouble.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/log.h"
#include "base/testing/temporary_folder.h"
#include "machine/storage/block_backend.h"

namespace ringside::machine {
namespace {

using Operation = FileTrouble::Operation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FileTroubleTest : public ::testing::Test {
 protected:
  FileTroubleTest() {
    log::set_sink([this](log::Level, std::string_view line) { lines_.emplace_back(line); },
                  log::Level::Warning);
  }
  ~FileTroubleTest() override { log::set_sink({}, log::Level::Off); }

  std::vector<std::string> lines_;
  FileTrouble trouble_{"disk image x"};
};

TEST_F(FileTroubleTest, IsToldOnceForEachOperation) {
  for (int i = 0; i < 100; ++i) {
    trouble_.fails(Operation::Read, 512, EIO);
    trouble_.fails(Operation::Write, 1024, ENOSPC);
    trouble_.fails(Operation::Flush, 0, EIO);
    trouble_.works(Operation::Read, 1024, 512);  // another place
  }
  EXPECT_THAT(lines_,
              ElementsAre("disk image x: the guest's reads fail, at byte 512 first: Input/output "
                          "error; the host's kernel log may say why",
                          "disk image x: the guest's writes fail, at byte 1024 first: No space "
                          "left on device; they work again once there is room",
                          "disk image x: the guest's flushes fail, at byte 0 first: Input/output "
                          "error; the host's kernel log may say why"));
}

TEST_F(FileTroubleTest, IsToldLessOftenTheMoreOftenItComes) {
  for (int i = 0; i < 1000; ++i) {
    trouble_.fails(Operation::Write, 512, ENOSPC);
    trouble_.works(Operation::Write, 0, 1024);
  }
  EXPECT_EQ(lines_.size(), 10u) << "the 1st, the 2nd, the 4th and so on";
}

class CutImage : public FileTroubleTest {
 protected:
  static constexpr std::uint64_t kSize = 8192;
  void SetUp() override {
    Fd file(::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
    disk_ = open_raw_disk(path_, false).value();
  }
  void cut(off_t size) { ASSERT_EQ(::truncate(path_.c_str(), size), 0); }
  bool reads(std::uint64_t offset) {
    std::byte sector[512];
    const std::span<std::byte> pieces[] = {std::span(sector)};
    const bool is_read = read_all(*disk_, offset, sector);
    EXPECT_EQ(disk_->read_pieces(offset, pieces), is_read ? 512u : 0u);
    return is_read;
  }

  const ringside::testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "image";
  std::shared_ptr<BlockBackend> disk_;
};

TEST_F(CutImage, IsToldUntilItIsWholeAgain) {
  EXPECT_TRUE(reads(kSize - 512));
  EXPECT_THAT(lines_, IsEmpty());
  cut(1024);
  for (int i = 0; i < 3; ++i) {
    for (std::uint64_t offset = 1024; offset < kSize; offset += 512)
      EXPECT_FALSE(reads(offset));
    EXPECT_TRUE(reads(512));
  }
  const auto line = HasSubstr(
      "image: somebody has cut it from 8192 to 1024 bytes, and the guest's "
      "reads behind its end fail until it is as long again");
  EXPECT_THAT(lines_, ElementsAre(line));
  const std::byte sector[512] = {};
  EXPECT_TRUE(write_all(*disk_, kSize - 512, sector));
  EXPECT_TRUE(reads(2048));
  cut(1024);
  EXPECT_FALSE(reads(2048));
  EXPECT_THAT(lines_, ElementsAre(line, line));
}

}  // namespace
}  // namespace ringside::machine
