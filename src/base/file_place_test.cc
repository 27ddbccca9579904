#include "base/file_place.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/fd.h"

namespace ringside {
namespace {

class FilePlace : public ::testing::Test {
 protected:
  FilePlace() {
    std::filesystem::create_directory(folder_);
    directory_.reset(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~FilePlace() override { std::filesystem::remove_all(folder_); }

  // Empty: there is room.
  std::string check(const std::string& name) {
    const auto is_ours = [](int file) {
      char first = 0;
      return ::pread(file, &first, 1, 0) == 1 && first == 'o';
    };
    const Result<void> done = check_file_place(directory_.get(), name, is_ours, "one of ours");
    return done ? "" : done.error().text();
  }

  const std::string folder_ = ::testing::TempDir() + "ringside-place-" + std::to_string(::getpid());
  const std::string taken_ = " is there already, and is not one of ours";
  Fd directory_;
};

TEST_F(FilePlace, IsThereForANewNameAndForOneOfOurs) {
  EXPECT_EQ(check("new"), "");
  EXPECT_EQ(check("a name with blanks"), "");
  std::ofstream(folder_ + "/ours") << "ours";
  EXPECT_EQ(check("ours"), "");
}

TEST_F(FilePlace, WhatIsNotANameIsRefused) {
  EXPECT_EQ(check(""), "a file name is missing");
  EXPECT_EQ(check(".."), "'..' is not the name of a file in that directory");
  EXPECT_EQ(check("/etc/passwd"), "'/etc/passwd' is not the name of a file in that directory");
  EXPECT_EQ(check("a/b"), "'a/b' is not the name of a file in that directory");
  const std::string zero("a\0b", 3);
  EXPECT_EQ(check(zero), "'" + zero + "' is not the name of a file in that directory");
  EXPECT_EQ(check(std::string(300, 'x')), "'" + std::string(300, 'x') + "': File name too long");
  EXPECT_EQ(check(std::string(255, 'x')), "");
}

TEST_F(FilePlace, WhatIsNotOursIsNotReplaced) {
  std::ofstream(folder_ + "/other") << "theirs";
  EXPECT_EQ(check("other"), "'other'" + taken_);
  { const std::ofstream empty(folder_ + "/empty"); }
  EXPECT_EQ(check("empty"), "'empty'" + taken_);
  std::filesystem::create_directory(folder_ + "/directory");
  EXPECT_EQ(check("directory"), "'directory'" + taken_);
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(check("fifo"), "'fifo'" + taken_);
  std::ofstream(folder_ + "/ours") << "ours";
  std::filesystem::create_symlink("ours", folder_ + "/link");
  EXPECT_EQ(check("link"), "'link'" + taken_);
  std::filesystem::create_symlink("/dev/full", folder_ + "/full");
  EXPECT_EQ(check("full"), "'full'" + taken_);
}

}  // namespace
}  // namespace ringside
