#include "base/whole_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/testing/temporary_folder.h"

namespace ringside {
namespace {

class WholeFileTest : public ::testing::Test {
 protected:
  Result<WholeFile> create() { return WholeFile::create(*opened_, "name", FileKind::Profile); }
  static Result<void> write(WholeFile& file, std::string_view text) {
    return file.write(std::as_bytes(std::span(text)));
  }
  std::string content() const {
    std::ifstream stream(folder_ + "/name");
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::size_t files() const {
    const std::filesystem::directory_iterator all(folder_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  const ringside::testing::TemporaryFolder scratch_;
  const std::string folder_ = scratch_.path();
  const std::unique_ptr<OpenFolder> opened_ = OpenFolder::open(folder_).value();
};

// Whatever the umask is.
TEST_F(WholeFileTest, IsItsOwnersAlone) {
  const mode_t before = ::umask(0);
  Result<WholeFile> file = create();
  ::umask(before);
  ASSERT_TRUE(file && file->finish());
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/name").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(WholeFileTest, AppearsWhenItIsFinished) {
  Result<WholeFile> file = create();
  ASSERT_TRUE(file);
  ASSERT_TRUE(write(*file, "all "));
  ASSERT_TRUE(write(*file, "of it"));
  EXPECT_EQ(content(), "");
  ASSERT_TRUE(file->finish());
  EXPECT_EQ(content(), "all of it");
  EXPECT_EQ(files(), 1u);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/name").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(WholeFileTest, WhatIsNotWrittenIsZero) {
  Result<WholeFile> file = create();
  ASSERT_TRUE(file);
  const auto put = [&](std::uint64_t at, std::string_view text) {
    return file->write_at(at, std::as_bytes(std::span(text)));
  };
  ASSERT_TRUE(put(6, "end"));
  ASSERT_TRUE(put(0, "first"));
  ASSERT_TRUE(file->set_size(11));
  ASSERT_TRUE(file->finish());
  EXPECT_EQ(content(), std::string("first\0end\0\0", 11));
}

TEST_F(WholeFileTest, LeavesNothingUnlessFinished) {
  {
    Result<WholeFile> file = create();
    ASSERT_TRUE(file && write(*file, "half"));
    WholeFile moved = std::move(*file);
    EXPECT_EQ(files(), 1u);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(WholeFileTest, ReplacesWhatHadItsName) {
  const std::string old = std::string(beginning_of(FileKind::Profile)) + "old";
  std::ofstream(folder_ + "/name") << old;
  Result<WholeFile> file = create();
  ASSERT_TRUE(file && write(*file, "new"));
  EXPECT_EQ(content(), old);
  ASSERT_TRUE(file->finish());
  EXPECT_EQ(content(), "new");
}

TEST_F(WholeFileTest, NeverWritesThroughALink) {
  std::ofstream(folder_ + "/other") << "kept";
  Result<WholeFile> file = create();
  ASSERT_TRUE(file);
  std::filesystem::create_symlink("other", folder_ + "/name");
  EXPECT_FALSE(create());
  ASSERT_TRUE(write(*file, "new") && file->finish());
  EXPECT_EQ(content(), "new");
  std::ifstream other(folder_ + "/other");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(other), {}), "kept");
}

TEST_F(WholeFileTest, ADirectoryOfItsNameStays) {
  Result<WholeFile> file = create();
  ASSERT_TRUE(file && write(*file, "new"));
  std::filesystem::create_directory(folder_ + "/name");
  const Result<void> finished = file->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().text().rfind("cannot write 'name': ", 0), 0u);
}

// As on a full disk, but of a limit of this process.
TEST_F(WholeFileTest, NoRoomIsAnErrorThatLeavesNothing) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  {
    Result<WholeFile> file = create();
    ASSERT_TRUE(file);
    const Result<void> written = write(*file, std::string(10000, 'x'));
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().text(), "cannot write 'name': File too large");
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace ringside
